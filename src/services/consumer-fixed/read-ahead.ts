import { untilAborted } from '../../async/abort.ts'
import { delay } from '../../async/timers.ts'
import { partitionKey } from '../../domain/record.ts'
import { toTapelineError } from '../../errors.ts'
import type { FixedBatch, FixedFetch } from '../../ports/pipeline.ts'
import type { Claims } from './claims.ts'
import type { ConsumerFixedParts } from './parts.ts'
import { type ClaimOf, Preparation, type PreparationParts } from './prepare.ts'

const POLL_MS = 500
/** How long one look for more lasts while the batch before is being written. */
const MORE_MS = 20
/** How long a batch waits for records that lie in the log already, before it goes on without them. */
const BEHIND_MS = 100

/**
 * Reads and prepares the next batch during the write of the one before. So storing is as fast as the slower of both, not as their sum. It holds
 * one batch at most.
 */
export interface ReadAhead {
  /** Begins to read the next batch, unless it reads or holds one. */
  begin(): void
  /** Waits for the next batch. An abort leaves it for the next call. Raises what reading raised. */
  take(signal: AbortSignal): Promise<FixedBatch>
  close(): void
}

interface ReadAheadParts {
  readonly claims: Claims
  /** The claim as it will be after the write of what is in hand. */
  readonly claimOf: ClaimOf
  /** Whether a batch is being written: as long, gathering more costs nothing. */
  readonly isWriting: () => boolean
}

export function createReadAhead(
  consumer: Pick<ConsumerFixedParts, 'maxRecords' | 'lingerMs'> & PreparationParts,
  { claims, claimOf, isWriting }: ReadAheadParts,
): ReadAhead {
  const { maxRecords, lingerMs, log } = consumer
  const stop = new AbortController()
  let next: Promise<FixedBatch> | undefined

  const read = async (): Promise<FixedBatch> => {
    const preparation = new Preparation(consumer, claimOf)
    const fetches: FixedFetch[] = []
    let records = 0
    /** How much lies after what was read, by partition, as far as the polls have told. */
    const left = new Map<string, number>()
    const isBehind = (): boolean => [...left.values()].some((count) => count > 0)
    const poll = async (waitMs: number): Promise<boolean> => {
      const polled = await claims.poll({ maxRecords: maxRecords - records, waitMs }, stop.signal)
      for (const fetch of polled) {
        fetches.push(fetch)
        preparation.add(fetch)
        if (fetch.kind === 'truncated') continue
        if (fetch.kind === 'records') records += fetch.records.length
        left.set(partitionKey(fetch), fetch.endOffset - fetch.nextOffset)
      }
      return polled.length > 0
    }

    const gatherMore = async (): Promise<void> => {
      // Without load the batch waits a little for company. With a backlog more is on its way: a pause would hold that up, and a small
      // batch costs a transaction like a large one.
      if (records < maxRecords / 10 && !isBehind()) {
        await delay(lingerMs, stop.signal)
        await poll(0)
      }
      while (records < maxRecords && (isWriting() || isBehind())) {
        const hasCome = await poll(isBehind() ? BEHIND_MS : MORE_MS)
        if (!hasCome && !isWriting()) return
      }
    }

    while (fetches.length === 0) await poll(POLL_MS)
    // What has been read is a batch all the same. If the failure lasts, the next batch meets it.
    await gatherMore().catch((error: unknown) =>
      log.debug({ code: toTapelineError(error).code }, 'no more could be read for the batch'),
    )
    return { fetches, records, prepared: preparation.finish() }
  }

  const begin = (): void => {
    if (next !== undefined || stop.signal.aborted) return
    next = read()
    // Whoever takes the batch hears of the failure.
    next.catch(() => undefined)
  }

  return {
    begin,
    async take(signal) {
      signal.throwIfAborted()
      begin()
      try {
        const batch = await untilAborted(next ?? Promise.reject(stop.signal.reason), signal)
        next = undefined
        return batch
      } catch (error) {
        if (!signal.aborted) next = undefined
        throw error
      }
    },
    close() {
      stop.abort()
    },
  }
}
