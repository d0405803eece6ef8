import { TapelineError, toTapelineError } from '../errors.ts'
import type { Broker } from '../ports/broker.ts'
import type { Log } from '../ports/log.ts'
import type { Lease, LeaseChange } from '../ports/streams.ts'
import { type Follower, followTopic } from './follow.ts'
import type { PlatformNames } from './names.ts'
import { decodeRegistry, type RegistryRecord } from './registry-records.ts'
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
  /** Calls back on each record of a webhook, its tombstone among them, until the returned function is called. */
  watchWebhooks(listener: () => void): () => void
  /** Calls back now, and whenever there is more or less that is not understood. */
  watchUnreadable(watcher: UnreadableWatcher): void
  close(): Promise<void>
}

type UnreadableWatcher = (unreadable: RegistryView['unreadable']) => void

/** Reads the registry to its end, then follows it. */
export async function openRegistry(
  broker: Broker,
  names: PlatformNames,
  log: Log,
  signal: AbortSignal,
): Promise<Registry> {
  const view = new RegistryView(names.leaderId)
  const listeners = new Set<(change: LeaseChange) => void>()
  const webhookListeners = new Set<() => void>()
  const unreadableWatchers = new Set<UnreadableWatcher>()
  const tell = (change: LeaseChange): void => {
    for (const listener of listeners) {
      try {
        listener(change)
      } catch (error) {
        log.error({ code: toTapelineError(error).code, err: error }, 'a change of a lease was not taken in')
      }
    }
  }

  /** What is not understood stops what depends on it here, and is told until a record that is understood takes its place (R23). */
  const withhold = (offset: number, key: string | null, reason: string): void => {
    log.error({ offset, key, code: 'UPGRADE_NEEDED', reason }, 'a record of the registry is not understood')
    for (const { id } of view.withhold(offset, key, reason)) tell({ kind: 'withheld', leaseId: id, reason })
    tellUnreadable()
  }
  const tellUnreadable = (): void => {
    for (const watcher of unreadableWatchers) watcher(view.unreadable)
  }

  const bounds = async (stop: AbortSignal): Promise<{ readonly earliest: number; readonly end: number }> =>
    (await findTopic(broker, names.registry, stop))?.offsets[0] ?? { earliest: 0, end: 0 }
  const { earliest, end } = await bounds(signal)
  const follower: Follower = await followTopic(
    broker,
    names.registry,
    earliest,
    ({ offset, key, value }) => {
      const decoded = value === null ? null : decodeOrReason(value)
      if (decoded instanceof TapelineError) {
        withhold(offset, key, decoded.message)
        return
      }
      const before = decoded?.kind === 'lease' ? view.lease(decoded.id) : undefined
      const unreadable = view.unreadable.size
      view.apply(offset, key, decoded)
      if (view.unreadable.size !== unreadable) tellUnreadable()
      for (const change of changesOf(decoded, before, view)) tell(change)
      if (key?.startsWith('webhook:')) for (const listener of webhookListeners) listener()
    },
    log,
    ({ offset, reason }) => withhold(offset, null, reason),
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
    watchWebhooks(listener) {
      webhookListeners.add(listener)
      return () => webhookListeners.delete(listener)
    },
    watchUnreadable(watcher) {
      unreadableWatchers.add(watcher)
      watcher(view.unreadable)
    },
    close: () => follower.close(),
  }
}

function decodeOrReason(value: Uint8Array): RegistryRecord | TapelineError {
  try {
    return decodeRegistry(value)
  } catch (error) {
    return toTapelineError(error)
  }
}

function changesOf(
  record: RegistryRecord | null,
  before: Lease | undefined,
  view: RegistryView,
): LeaseChange[] {
  // A topic that leases have had is over for them.
  if (record?.kind === 'stream' && record.state === 'ending')
    return view.leasesAfter(record.id).map((lease) => ({ kind: 'ready', lease }))
  if (record?.kind !== 'lease') return []
  if (record.state === 'ended') {
    const topic = before?.topic ?? ''
    return [{ kind: 'ended', leaseId: record.id, topic, reason: record.reason }]
  }
  const lease = view.lease(record.id)
  return lease ? [{ kind: 'ready', lease }] : []
}
