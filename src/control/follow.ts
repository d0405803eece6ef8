import { setTimeout as delay } from 'node:timers/promises'
import { isAbort, toTapelineError } from '../errors.ts'
import type { Broker, Reader, StoredRecord } from '../ports/broker.ts'
import type { Log } from '../ports/log.ts'

const POLL = { maxRecords: 2_000, waitMs: 500 } as const
const RETRY_MS = 200

export interface Follower {
  /** Resolves when everything before an offset has been handled. */
  reached(offset: number, signal: AbortSignal): Promise<void>
  readonly nextOffset: number
  close(): Promise<void>
}

/**
 * Follows a topic of one partition from an offset on, handing each record to `handle` in order. A broker that is away is
 * waited for. `handle` must not throw: what it cannot use it reports itself.
 */
export async function followTopic(
  broker: Broker,
  topic: string,
  from: number,
  handle: (record: StoredRecord) => void,
  log: Log,
): Promise<Follower> {
  const stop = new AbortController()
  const waiting = new Set<{ offset: number; resolve: () => void }>()
  let nextOffset = from
  let reader: Reader = await broker.openReader()
  await reader.assign([{ topic, partition: 0, offset: from }])

  const settle = (): void => {
    for (const waiter of waiting) {
      if (waiter.offset > nextOffset) continue
      waiting.delete(waiter)
      waiter.resolve()
    }
  }

  const poll = async (): Promise<void> => {
    for (const fetch of await reader.poll(POLL, stop.signal)) {
      if (fetch.kind === 'records') {
        fetch.records.forEach(handle)
        nextOffset = fetch.nextOffset
      } else if (fetch.kind === 'truncated') {
        log.warn(
          { topic, position: fetch.position, earliest: fetch.earliest },
          'records were removed before they were read',
        )
        nextOffset = fetch.earliest
      }
    }
    settle()
  }

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        await poll()
      } catch (error) {
        if (stop.signal.aborted || isAbort(error)) return
        log.warn({ topic, code: toTapelineError(error).code }, 'cannot read the topic, trying again')
        await delay(RETRY_MS, undefined, { signal: stop.signal }).catch(() => undefined)
        reader = await reopen(broker, reader, topic, nextOffset).catch(() => reader)
      }
    }
  }
  const running = run()

  return {
    get nextOffset() {
      return nextOffset
    },
    reached(offset, signal) {
      if (nextOffset >= offset) return Promise.resolve()
      if (signal.aborted) return Promise.reject(signal.reason)
      return new Promise((resolve, reject) => {
        const waiter = {
          offset,
          resolve: () => {
            signal.removeEventListener('abort', onAbort)
            resolve()
          },
        }
        const onAbort = (): void => {
          waiting.delete(waiter)
          reject(signal.reason)
        }
        signal.addEventListener('abort', onAbort, { once: true })
        waiting.add(waiter)
      })
    },
    async close() {
      stop.abort()
      await running
      await reader.close()
    },
  }
}

async function reopen(broker: Broker, former: Reader, topic: string, offset: number): Promise<Reader> {
  await former.close()
  const reader = await broker.openReader()
  await reader.assign([{ topic, partition: 0, offset }])
  return reader
}
