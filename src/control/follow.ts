import { onAbort } from '../async/abort.ts'
import { withDeadline } from '../async/deadline.ts'
import { deadlineAfter, pause } from '../async/timers.ts'
import { TapelineError, toTapelineError } from '../errors.ts'
import type { Broker, Reader, StoredRecord, UndecodableBatch } from '../ports/broker.ts'
import type { Log } from '../ports/log.ts'
import { logInterruption } from './interruption.ts'

const POLL = { maxRecords: 2_000, waitMs: 2_000 } as const
const RETRY_MS = 200
/** How long opening a reader, or closing one, may take. */
const OPEN_MS = 10_000
const CLOSE_MS = 2_000

export interface Follower {
  /** Resolves when everything before an offset has been handled. */
  reached(offset: number, signal: AbortSignal): Promise<void>
  readonly nextOffset: number
  close(): Promise<void>
}

/**
 * Follows a topic of one partition from an offset on, handing each record to `handle` in order, and each batch that nobody can
 * read to `onUndecodable`. A broker that is away is waited for, however long; where retention has passed the position meanwhile,
 * it goes on from the earliest record. What a handler throws is logged, and the next record follows.
 */
export async function followTopic(
  broker: Broker,
  topic: string,
  from: number,
  handle: (record: StoredRecord) => void,
  log: Log,
  onUndecodable?: (batch: UndecodableBatch) => void,
): Promise<Follower> {
  const stop = new AbortController()
  const waiting = new Set<{ offset: number; resolve: () => void }>()
  let nextOffset = from
  let reader: Reader | undefined = await openAt(broker, topic, from, stop.signal)
  const interruption = logInterruption(
    log,
    { began: 'cannot read the topic, trying again', ended: 'the topic is read again' },
    { topic },
  )

  const settle = (): void => {
    for (const waiter of waiting) {
      if (waiter.offset > nextOffset) continue
      waiting.delete(waiter)
      waiter.resolve()
    }
  }

  const take = <T extends { readonly offset: number }>(
    found: T,
    by: ((found: T) => void) | undefined,
  ): void => {
    try {
      by?.(found)
    } catch (error) {
      const { code, message } = toTapelineError(error)
      log.error({ topic, offset: found.offset, code, reason: message }, 'a record could not be handled')
    }
  }

  const poll = async (): Promise<void> => {
    reader ??= await openAt(broker, topic, nextOffset, stop.signal)
    for (const fetch of await reader.poll(POLL, stop.signal)) {
      switch (fetch.kind) {
        case 'records':
          for (const record of fetch.records) take(record, handle)
          nextOffset = fetch.nextOffset
          break
        case 'truncated':
          log.warn(
            { topic, position: fetch.position, earliest: fetch.earliest },
            'records were removed before they were read',
          )
          nextOffset = fetch.earliest
          break
        case 'undecodable':
          take(fetch, onUndecodable)
          nextOffset = fetch.nextOffset
          break
        case 'deleted':
          throw new TapelineError('TOPIC_UNKNOWN', `the topic ${topic} is gone`)
      }
    }
    settle()
    interruption.end()
  }

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        await poll()
      } catch (error) {
        if (stop.signal.aborted) return
        interruption.begin(error)
        // A reader goes on by itself when its broker is back, and a new one would not know that it is away.
        if (!toTapelineError(error).retryable) await closeQuietly()
        await pause(RETRY_MS, stop.signal)
      }
    }
  }

  const closeQuietly = async (): Promise<void> => {
    const former = reader
    reader = undefined
    await former?.close(deadlineAfter(CLOSE_MS)).catch((error: unknown) => {
      log.debug({ topic, code: toTapelineError(error).code }, 'a reader did not close')
    })
  }
  const running = run()

  return {
    get nextOffset() {
      return nextOffset
    },
    reached(offset, signal) {
      if (nextOffset >= offset) return Promise.resolve()
      return new Promise((resolve, reject) => {
        const waiter = {
          offset,
          resolve: () => {
            off()
            resolve()
          },
        }
        waiting.add(waiter)
        const off = onAbort(signal, () => {
          waiting.delete(waiter)
          reject(signal.reason)
        })
      })
    },
    async close() {
      stop.abort()
      await running
      await closeQuietly()
    },
  }
}

function openAt(broker: Broker, topic: string, offset: number, stop: AbortSignal): Promise<Reader> {
  return withDeadline(stop, OPEN_MS, async (signal) => {
    const reader = await broker.openReader(signal)
    try {
      await reader.assign([{ topic, partition: 0, offset }], signal)
      return reader
    } catch (error) {
      await reader.close(signal).catch(() => undefined)
      throw error
    }
  })
}
