import { doubled } from '../../async/back-off.ts'
import { withDeadline } from '../../async/deadline.ts'
import { pause } from '../../async/timers.ts'
import { readRanges } from '../../control/read-range.ts'
import { findTopic } from '../../control/topics.ts'
import { decodeEvent, EVENT_VERSION, encodeEvent } from '../../domain/event-codec.ts'
import { marketKey, shardOf } from '../../domain/events.ts'
import { isSameListing, type ListedInstrument } from '../../domain/instruments.ts'
import { isAbort, toTapelineError } from '../../errors.ts'
import type { OutgoingRecord } from '../../ports/broker.ts'
import type { Instrument } from '../../ports/source.ts'
import type { CheckpointWriter } from './checkpoint-writer.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import type { Shard } from './shard.ts'

/** So many records go in one transaction. */
const MOST_RECORDS = 1_000
/** How long reading or writing those of one shard may take. */
const STEP_MS = 30_000
/** How soon it tries again after a failure: twice as long each time. */
const FIRST_REST_MS = 1_000
const LONGEST_REST_MS = 60_000

/** Keeps what exchanges list in a compacted topic, one record a market, as far as this process owns the shards. */
export interface Listings {
  /** An exchange lists these markets at present, and no others. */
  heard(instruments: readonly Instrument[]): void
  taken(k: number): void
  leave(k: number): void
  close(): Promise<void>
}

/** What the topic says of the markets of a shard, by their keys. */
type Known = Map<string, ListedInstrument>

/**
 * Writes what has changed, beside the data path. A record goes out in a transaction of its shard, which the broker refuses to a former owner: so the topic
 * needs no markers, which compaction would not keep.
 */
export function createListings(
  { broker, names, partitions, now, log }: ProducerParts,
  { shards }: Pick<ShardOwnership, 'shards'>,
  checkpoints: Pick<CheckpointWriter, 'commit'>,
): Listings {
  const stop = new AbortController()
  /** By exchange, then by market. */
  const heard = new Map<string, ReadonlyMap<string, Instrument>>()
  const knownOf = new WeakMap<Shard, Known>()
  /** The shards whose records may not say what was heard last. */
  const due = new Set<number>()
  let running: Promise<void> | undefined

  const readKnown = async (shard: Shard, signal: AbortSignal): Promise<Known> => {
    const found = knownOf.get(shard)
    if (found !== undefined) return found
    const { k } = shard
    const topic = names.instruments
    const { earliest = 0, end = 0 } = (await findTopic(broker, topic, signal))?.offsets[k] ?? {}
    const known: Known = new Map()
    await readRanges(
      broker,
      [{ topic, partition: k, offset: earliest, end }],
      ({ records }) => {
        for (const { key, value, headers } of records) {
          const listed = value === null ? undefined : listedOf(value, headers.v)
          if (key !== null && listed !== undefined) known.set(key, listed)
        }
      },
      signal,
    )
    knownOf.set(shard, known)
    return known
  }

  const settle = async (shard: Shard, signal: AbortSignal): Promise<void> => {
    const known = await readKnown(shard, signal)
    const changes = [...heard].flatMap(([exchange, markets]) =>
      changesOf(exchange, markets, known, (key) => shardOf(key, partitions) === shard.k, nowMicros()),
    )
    for (let at = 0; at < changes.length; at += MOST_RECORDS) {
      const part = changes.slice(at, at + MOST_RECORDS)
      const records = part.map((listed) => recordOf(listed, shard))
      await checkpoints.commit(shard, [{ topic: names.instruments, partition: shard.k, records }], signal)
      for (const listed of part) known.set(marketKey(listed), listed)
    }
    if (changes.length > 0) log.debug({ shard: shard.k, markets: changes.length }, 'listings are published')
  }

  const nowMicros = (): number => Math.round(now() * 1_000)

  const work = async (): Promise<void> => {
    for (let failures = 0; due.size > 0 && !stop.signal.aborted; ) {
      const [k] = due
      const shard = k === undefined ? undefined : shards.get(k)
      if (k === undefined) return
      due.delete(k)
      // Whoever owns it now hears the listings too.
      if (shard === undefined) continue
      try {
        await withDeadline(stop.signal, STEP_MS, (signal) => settle(shard, signal))
        failures = 0
      } catch (error) {
        if (stop.signal.aborted) return
        // What the topic has by now is not known: it is read again.
        knownOf.delete(shard)
        if (shards.get(k) !== shard) continue
        due.add(k)
        const code = isAbort(error) ? 'TIMEOUT' : toTapelineError(error).code
        log.warn({ shard: k, code }, 'listings could not be published yet')
        await pause(doubled(FIRST_REST_MS, LONGEST_REST_MS, failures++), stop.signal)
      }
    }
  }

  const begin = (): void => {
    if (heard.size === 0 || stop.signal.aborted) return
    running ??= work()
      .catch((error: unknown) => {
        if (!stop.signal.aborted) log.error({ err: error }, 'listings are published no more')
      })
      .finally(() => {
        running = undefined
      })
  }

  return {
    heard(instruments) {
      for (const [exchange, markets] of Map.groupBy(instruments, (each) => each.exchange))
        heard.set(exchange, byKey(markets))
      for (const k of shards.keys()) due.add(k)
      begin()
    },
    taken(k) {
      due.add(k)
      begin()
    },
    leave: (k) => void due.delete(k),
    async close() {
      stop.abort()
      await running
    },
  }
}

/** Of several under one name, one that can be traded counts. */
function byKey(instruments: readonly Instrument[]): ReadonlyMap<string, Instrument> {
  const found = new Map<string, Instrument>()
  for (const each of instruments) {
    const key = marketKey(each)
    if (found.get(key)?.isTrading !== true) found.set(key, each)
  }
  return found
}

/** What is new or different of one exchange, and what it lists no more. */
function changesOf(
  exchange: string,
  markets: ReadonlyMap<string, Instrument>,
  known: Known,
  isOwn: (key: string) => boolean,
  ts: number,
): ListedInstrument[] {
  const changes: ListedInstrument[] = []
  for (const [key, { tick, lot, isTrading, ...names }] of markets) {
    if (!isOwn(key)) continue
    const steps = { ...(tick !== null && { tick }), ...(lot !== null && { lot }) }
    const listed = { ...names, ...steps, status: isTrading ? 'trading' : 'halted', ts } as const
    const before = known.get(key)
    if (before === undefined || !isSameListing(before, listed)) changes.push(listed)
  }
  for (const [key, before] of known) {
    if (before.exchange !== exchange || before.status === 'delisted' || markets.has(key)) continue
    changes.push({ ...before, status: 'delisted', ts })
  }
  return changes
}

function recordOf(listed: ListedInstrument, { k, ownership }: Shard): OutgoingRecord {
  const headers = { v: EVENT_VERSION, kind: 'event', shard: k, epoch: ownership.epoch } as const
  return { key: marketKey(listed), value: encodeEvent(listed), headers }
}

/** What cannot be read is written anew. */
function listedOf(value: Uint8Array, version: number): ListedInstrument | undefined {
  try {
    return decodeEvent('instrument', value, version)
  } catch {
    return undefined
  }
}
