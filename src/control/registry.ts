import { toTapelineError } from '../errors.ts'
import type { Broker } from '../ports/broker.ts'
import type { Log } from '../ports/log.ts'
import type { Lease, LeaseChange } from '../ports/streams.ts'
import { type Follower, followTopic } from './follow.ts'
import type { PlatformNames } from './names.ts'
import { decodeRegistry, type RegistryRecord } from './records.ts'
import { RegistryView } from './registry-view.ts'
import { findTopic } from './topics.ts'

/** The registry as this process sees it: always following, shared by all roles in the process. */
export interface Registry {
  readonly view: RegistryView
  /** Resolves when the view holds everything before an offset. */
  reached(offset: number, signal: AbortSignal): Promise<void>
  /** Resolves when the view holds all that the registry has by now. */
  catchUp(signal: AbortSignal): Promise<void>
  /** Calls back on each change of a lease until the returned function is called. */
  watch(listener: (change: LeaseChange) => void): () => void
  close(): Promise<void>
}

/** Reads the registry to its end, then follows it. */
export async function openRegistry(
  broker: Broker,
  names: PlatformNames,
  log: Log,
  signal: AbortSignal,
): Promise<Registry> {
  const view = new RegistryView(names.leaderId)
  const listeners = new Set<(change: LeaseChange) => void>()
  const tell = (change: LeaseChange): void => {
    for (const listener of listeners) {
      try {
        listener(change)
      } catch (error) {
        log.error({ code: toTapelineError(error).code, err: error }, 'a change of a lease was not taken in')
      }
    }
  }

  const bounds = async (stop: AbortSignal): Promise<{ readonly earliest: number; readonly end: number }> =>
    (await findTopic(broker, names.registry, stop))?.offsets[0] ?? { earliest: 0, end: 0 }
  const { earliest, end } = await bounds(signal)
  const follower: Follower = await followTopic(
    broker,
    names.registry,
    earliest,
    (record) => {
      const decoded = record.value === null ? null : decodeOrReport(record.value, record.offset, log)
      if (decoded === undefined) return
      const before = decoded?.kind === 'lease' ? view.lease(decoded.id) : undefined
      view.apply(record.offset, record.key, decoded)
      for (const change of changesOf(decoded, before, view)) tell(change)
    },
    log,
  )
  await follower.reached(end, signal)

  return {
    view,
    reached: (offset, waitSignal) => follower.reached(offset, waitSignal),
    async catchUp(waitSignal) {
      await follower.reached((await bounds(waitSignal)).end, waitSignal)
    },
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: () => follower.close(),
  }
}

function decodeOrReport(value: Uint8Array, offset: number, log: Log): RegistryRecord | undefined {
  try {
    return decodeRegistry(value)
  } catch (error) {
    log.error(
      { offset, code: toTapelineError(error).code },
      'a record of the registry cannot be read and is left out',
    )
    return undefined
  }
}

function changesOf(
  record: RegistryRecord | null,
  before: Lease | undefined,
  view: RegistryView,
): LeaseChange[] {
  if (record?.kind !== 'lease') return []
  if (record.state === 'ended') {
    const topic = before?.topic ?? ''
    return [{ kind: 'ended', leaseId: record.id, topic, reason: record.reason }]
  }
  const lease = view.lease(record.id)
  return lease ? [{ kind: 'ready', lease }] : []
}
