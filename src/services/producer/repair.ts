import { doubled } from '../../async/back-off.ts'
import { withDeadline } from '../../async/deadline.ts'
import { pause } from '../../async/timers.ts'
import { marketKey, type Status, shardOf } from '../../domain/events.ts'
import type { OpenGap } from '../../domain/open-gaps.ts'
import { isAbort, toTapelineError } from '../../errors.ts'
import { type Market, sourceOf } from '../../ports/source.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import type { PastPublisher } from './past-publisher.ts'
import { readOpenGaps } from './read-gaps.ts'

const DAY_US = 86_400_000_000
/** A longer gap is a person's to fill: it may take the service for hours. */
const LONGEST_US = 7 * DAY_US
/** So many gaps of a source may wait; beyond that the oldest stay flagged until a process takes the shard over anew. */
const MOST_WAITING = 10_000
/** How soon it asks again after a failure: twice as long each time. */
const FIRST_REST_MS = 1_000
const LONGEST_REST_MS = 300_000
/** How long it may take to read which gaps are open. */
const READ_MS = 60_000

/** Fills gaps from the history of the source, as far as it has one (R6). */
export interface Repair {
  /** A gap lies in the log. */
  flagged(gap: Status): void
  /** This process owns the shard: what is open of it follows from the log. */
  taken(k: number): void
  close(): Promise<void>
}

/** The gaps of the markets of one source: one of them at a time, the oldest first. */
interface Lane {
  readonly waiting: OpenGap[]
  running: Promise<void> | undefined
}

export function createRepair(
  producer: ProducerParts,
  ownership: Pick<ShardOwnership, 'isAssigned'>,
  past: PastPublisher,
): Repair {
  const { source, partitions, now, log, meter } = producer
  const stop = new AbortController()
  const lanes = new Map<string, Lane>()
  const reading = new Set<Promise<void>>()

  const isOwn = (market: Market): boolean => ownership.isAssigned(shardOf(marketKey(market), partitions))
  const hasHistory = (market: Market): boolean =>
    source.history?.(market, { from: 0, to: 0 }, stop.signal) !== undefined

  const add = (gap: OpenGap): void => {
    if (stop.signal.aborted || !hasHistory(gap)) return
    const { exchange, symbol, from, to } = gap
    if (to - from > LONGEST_US) {
      const about = { market: marketKey(gap), hours: Math.round((to - from) / 3_600e6) }
      log.warn(about, 'a gap is too long to be filled by itself; tapeline backfill fills it')
      return
    }
    const name = sourceOf(source, { exchange, symbol })
    const lane = lanes.get(name) ?? { waiting: [], running: undefined }
    lanes.set(name, lane)
    if (lane.waiting.some((each) => isSame(each, gap))) return
    const at = lane.waiting.findIndex((each) => each.from > from)
    lane.waiting.splice(at < 0 ? lane.waiting.length : at, 0, gap)
    if (lane.waiting.length > MOST_WAITING) lane.waiting.shift()
    lane.running ??= work(lane).finally(() => {
      lane.running = undefined
    })
  }

  const work = async (lane: Lane): Promise<void> => {
    for (let failures = 0; !stop.signal.aborted; ) {
      const [gap] = lane.waiting
      if (gap === undefined) return
      try {
        if (isOwn(gap)) await fill(gap)
        failures = 0
        lane.waiting.splice(lane.waiting.indexOf(gap), 1)
      } catch (thrown) {
        if (stop.signal.aborted) return
        const error = toTapelineError(thrown)
        const { code, message } = isAbort(thrown) ? { code: 'TIMEOUT', message: 'nobody took it' } : error
        const about = { code, reason: message, market: marketKey(gap) }
        if (code === 'MARKET_UNKNOWN') {
          log.warn(about, 'the source has no history of this market')
          lane.waiting.splice(lane.waiting.indexOf(gap), 1)
          continue
        }
        const againMs = doubled(FIRST_REST_MS, LONGEST_REST_MS, failures++)
        log.warn({ ...about, againMs }, 'a gap could not be filled yet')
        await pause(againMs, stop.signal)
      }
    }
  }

  const fill = async (gap: OpenGap): Promise<void> => {
    const { exchange, symbol, from, to } = gap
    const market = { exchange, symbol }
    const found = await past.publish(market, { from, to }, stop.signal)
    if (found === undefined) return
    const { count, since } = found
    if (since > from) {
      const about = { market: marketKey(market), from, since }
      log.warn(about, 'the history of the source does not reach back to the beginning of a gap')
    }
    await past.recovered(gap, since, count, stop.signal)
    if (since > from && since >= to) return
    meter.count('gaps_recovered_total')
    log.info({ market: marketKey(market), trades: count }, 'a gap is filled from history')
  }

  return {
    flagged({ exchange, symbol, from, to, cause }) {
      if (symbol === undefined || from === undefined || to === undefined) return
      add({ exchange, symbol, from, to, cause })
    },
    taken(k) {
      if (source.history === undefined) return
      const read = withDeadline(stop.signal, READ_MS, (signal) => readOpenGaps(producer, k, now(), signal))
        .then((gaps) => {
          for (const gap of gaps) add(gap)
        })
        .catch((error: unknown) => {
          if (stop.signal.aborted) return
          log.warn({ shard: k, code: toTapelineError(error).code }, 'open gaps were not read from the log')
        })
        .finally(() => reading.delete(read))
      reading.add(read)
    },
    async close() {
      stop.abort()
      await Promise.allSettled([...reading, ...[...lanes.values()].map(({ running }) => running)])
    },
  }
}

function isSame(a: OpenGap, b: OpenGap): boolean {
  return marketKey(a) === marketKey(b) && a.from === b.from && a.to === b.to
}
