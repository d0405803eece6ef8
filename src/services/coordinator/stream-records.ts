import type { LeaseRecord } from '../../control/registry-records.ts'
import type { StreamEntry } from '../../control/registry-view.ts'
import { bodyOf } from './apply-requests.ts'
import type { RegistryBody } from './leader.ts'

/** The record that ends a stream: producers drop the route when they see the record, and a new request gets a new topic. */
export function endingStream(stream: StreamEntry | undefined): (RegistryBody & { kind: 'stream' })[] {
  if (stream === undefined || stream.state === 'ending') return []
  const { offset: _offset, ...record } = stream
  return [{ ...bodyOf(record), state: 'ending' }]
}

/** The record that keeps a stream: producers drop the route, and its topic stays. */
export function keepingStream(
  stream: StreamEntry | undefined,
  now: number,
): (RegistryBody & { kind: 'stream' })[] {
  if (stream?.state !== 'ready') return []
  const { offset: _offset, ...record } = stream
  return [{ ...bodyOf(record), state: 'kept', keptAt: now }]
}

/** The record that ends a lease, and why. */
export function endingLease(lease: LeaseRecord, reason: string): RegistryBody & { kind: 'lease' } {
  return { ...bodyOf(lease), state: 'ended', reason }
}
