import { NEVER, onAbort } from '../async/abort.ts'
import { withDeadline } from '../async/deadline.ts'
import { toTapelineError } from '../errors.ts'
import type { Broker } from '../ports/broker.ts'
import type { Log } from '../ports/log.ts'
import { type ControlRecord, type ControlRecordOf, controlEntry, decodeControl } from './control-records.ts'
import { followTopic } from './follow.ts'
import type { PlatformNames } from './names.ts'
import { type Envelope, readEnvelope } from './record-format.ts'
import type { RegistryView } from './registry-view.ts'
import { findTopic } from './topics.ts'

/** How long one write to the control topic may take. */
const SEND_TIMEOUT_MS = 5_000
/** So many processes and kinds are named in the log. */
const MOST_REPORTED = 1_000

/** The control topic as this process sees it: everything that is written from now on. */
export interface ControlBus {
  send(records: readonly ControlRecord[], signal?: AbortSignal): Promise<void>
  /** Calls back on each record of a kind until the returned function is called. */
  on<K extends ControlRecord['kind']>(kind: K, listener: (record: ControlRecordOf<K>) => void): () => void
  /** Resolves with the first record of a kind that fits, or rejects when the signal aborts. Listens from the call on. */
  first<K extends ControlRecord['kind']>(
    kind: K,
    fits: (record: ControlRecordOf<K>) => boolean,
    signal: AbortSignal,
  ): Promise<ControlRecordOf<K>>
  /** Calls back on each record that this process does not understand (R23). */
  onUnreadable(listener: (envelope: Envelope) => void): () => void
  close(): Promise<void>
}

/** Opens the control topic. What a leader says under a lower epoch than the registry, or the topic, has seen is left out (R9). */
export async function openControlBus(
  broker: Broker,
  names: PlatformNames,
  registry: { readonly view: Pick<RegistryView, 'leaderEpoch'> },
  log: Log,
  signal: AbortSignal,
): Promise<ControlBus> {
  let leaderEpoch = -1
  /** Whether a record comes from a leader whose time is over. */
  const isStale = (record: ControlRecord): boolean => {
    if (!('epoch' in record) || record.epoch === undefined) return false
    leaderEpoch = Math.max(leaderEpoch, registry.view.leaderEpoch, record.epoch)
    return record.epoch < leaderEpoch
  }

  /** Of whom, and of what kind, it was said that it is not understood: heartbeats come every two seconds. */
  const reported = new Set<string>()
  const unreadableListeners = new Set<(envelope: Envelope) => void>()
  const decodeOrReport = (value: Uint8Array, offset: number): ControlRecord | undefined => {
    try {
      return decodeControl(value)
    } catch (error) {
      const envelope = readEnvelope(value)
      const { kind, instance } = envelope
      const { code, message } = toTapelineError(error)
      const known = `${instance} ${kind}`
      if (!reported.has(known) && reported.size < MOST_REPORTED)
        log.error({ offset, code, kind, instance, reason: message }, 'a control record is left out')
      reported.add(known)
      for (const listener of unreadableListeners) listener(envelope)
      return undefined
    }
  }

  const listeners = new Map<ControlRecord['kind'], Set<(record: ControlRecord) => void>>()
  const topic = await findTopic(broker, names.control, signal)
  const follower = await followTopic(
    broker,
    names.control,
    topic?.offsets[0]?.end ?? 0,
    (stored) => {
      if (stored.value === null) return
      const record = decodeOrReport(stored.value, stored.offset)
      if (record === undefined) return
      try {
        if (isStale(record)) {
          log.warn(
            { kind: record.kind, instance: record.instance },
            'a former leader spoke; it does not count',
          )
          return
        }
        for (const listener of listeners.get(record.kind) ?? []) listener(record)
      } catch (error) {
        const { code, message } = toTapelineError(error)
        log.error({ offset: stored.offset, code, reason: message }, 'a control record could not be handled')
      }
    },
    log,
  )

  const on: ControlBus['on'] = (kind, listener) => {
    const kept = listeners.get(kind) ?? new Set()
    // The map is keyed by the kind, so a listener only ever sees records of its own kind.
    const general = listener as (record: ControlRecord) => void
    listeners.set(kind, kept.add(general))
    return () => kept.delete(general)
  }

  return {
    on,
    async send(records, sendSignal) {
      await withDeadline(sendSignal ?? NEVER, SEND_TIMEOUT_MS, (deadline) =>
        broker.publish(
          [{ topic: names.control, partition: 0, records: records.map(controlEntry) }],
          deadline,
        ),
      )
    },
    first(kind, fits, waitSignal) {
      return new Promise((resolve, reject) => {
        const stop = on(kind, (record) => {
          if (!fits(record)) return
          stop()
          off()
          resolve(record)
        })
        const off = onAbort(waitSignal, () => {
          stop()
          reject(waitSignal.reason)
        })
      })
    },
    onUnreadable(listener) {
      unreadableListeners.add(listener)
      return () => unreadableListeners.delete(listener)
    },
    close: () => follower.close(),
  }
}
