import { decodeDeadLetter } from '../../src/control/dead-letter-records.ts'
import { marketKey, type Quote, shardOf, type Trade } from '../../src/domain/events.ts'
import { type FixedRecord, holesInRows, isGone, type LostFixed, type readFixed } from './evidence.ts'
import type { Exchange, Handed } from './exchange.ts'
import type { Gift } from './groups.ts'
import type { MemoryBroker } from './memory-broker.ts'
import type { MemoryStore } from './memory-store.ts'
import { NAMES } from './names.ts'
import type { Violation } from './violations.ts'

type Fixed = ReturnType<typeof readFixed>

/** A trade as it was published last, and how many of its market came first before it. */
interface PublishedTrade {
  readonly record: FixedRecord<'trade'>
  readonly n: number
}

/** So many trades of a market a checkpoint names: the next owner cannot tell of earlier ones. */
const NAMED_TRADES = 128

/**
 * R5, R6: no trade twice, unless the second says that it may be a repeat, and nobody can know better: the first is gone, no checkpoint named it any more, or
 * checkpoints of the shard cannot be read. Since its market is watched none is missing that no gap covers, up to the last published one.
 */
export function checkTrades(
  { ledger, watchedSince }: Pick<Exchange, 'ledger' | 'watchedSince'>,
  broker: MemoryBroker,
  fixed: Fixed,
  lost: LostFixed,
): Violation[] {
  const checkpoints = broker.topics.get(NAMES.checkpoints)
  const isForgetful = (shard: number): boolean => {
    const { everRotten = [], lostEnds = [] } = checkpoints?.partition(shard) ?? {}
    return everRotten.length + lostEnds.length > 0
  }
  const violations: Violation[] = []
  const published = new Map<string, Map<string, PublishedTrade>>()
  for (const record of fixed.trade) {
    const ofMarket = published.get(record.market) ?? new Map<string, PublishedTrade>()
    published.set(record.market, ofMarket)
    const former = ofMarket.get(record.event.id)
    const isAged = former !== undefined && ofMarket.size - former.n >= NAMED_TRADES
    const isUnknown = former?.record.isGone || isAged || isForgetful(record.shard)
    const mayRepeat = record.reentering || (isUnknown && record.event.maybe)
    if (former !== undefined && !mayRepeat)
      violations.push({
        promise: 'trade twice',
        detail: `${record.market} ${record.event.id} at ${record.shard}:${former.record.offset} and ${record.offset}`,
      })
    ofMarket.set(record.event.id, { record, n: ofMarket.size })
  }
  const lostIds = new Set(lost.records.trade.map(({ event }) => event.id))
  for (const [market, trades] of Map.groupBy(ledger, marketKey)) {
    const ofMarket = published.get(market) ?? new Map()
    const since = watchedSince.get(market) ?? Number.POSITIVE_INFINITY
    const first = trades.findIndex(({ id, ts }) => ts >= since || ofMarket.has(id))
    const last = trades.findLastIndex(({ id }) => ofMarket.has(id))
    // A gap that was told may lie in an end that was lost.
    const gaps = [...fixed.status, ...lost.records.status].filter(
      ({ event, market: about }) => event.state === 'gap' && (event.symbol === undefined || about === market),
    )
    if (first < 0 || last < 0) continue
    for (const { id, ts } of trades.slice(first, last)) {
      const isFlagged = gaps.some(({ event: { from = 0, to = 0 } }) => from <= ts && ts <= to)
      if (!ofMarket.has(id) && !isFlagged && !lostIds.has(id))
        violations.push({
          promise: 'trade lost',
          detail: `${market} ${id} of ${ts} is missing, and no gap says so`,
        })
    }
  }
  return violations
}

/**
 * R3, R7: what a source handed to the process that had the shard from then on is published, whatever failed in between: nobody
 * else could have.
 */
export function checkKept(
  {
    handed,
    gifts,
    takeOvers,
    partitions,
    killed,
  }: {
    readonly handed: readonly Handed[]
    readonly gifts: readonly Gift[]
    readonly takeOvers: MemoryBroker['takeOvers']
    readonly partitions: number
    readonly killed: ReadonlySet<string>
  },
  fixed: Fixed,
  lost: LostFixed,
): Violation[] {
  const published = new Set([
    ...[...fixed.trade, ...lost.records.trade].map(({ event }) => `trade ${event.id}`),
    ...[...fixed.quote, ...lost.records.quote].map(({ event }) => `quote ${event.bid}`),
  ])
  const perShard = Array.from({ length: partitions }, (_, k) => ({
    given: gifts.filter(
      ({ group, places }) => group === NAMES.groups.producers && places.includes(`market.trades:${k}`),
    ),
    taken: takeOvers.filter(({ id }) => id === NAMES.shardId(k)),
  }))
  /** Whether the group has asked a host to leave a shard to others later on, though these may never have come. */
  const isAskedToLeave = (host: string, k: number, at: number): boolean =>
    gifts.some(
      (gift) =>
        gift.group === NAMES.groups.producers &&
        gift.host === host &&
        gift.at >= at &&
        gift.places.length > 0 &&
        !gift.places.includes(`market.trades:${k}`),
    )
  const isOwner = (host: string, k: number, at: number): boolean => {
    const { given = [], taken = [] } = perShard[k] ?? {}
    return isAlone(given, host, at) && isAlone(taken, host, at) && !isAskedToLeave(host, k, at)
  }
  return handed.flatMap(({ host, item, at }): Violation[] => {
    const key =
      item.channel === 'trade' ? `trade ${item.event.id}` : `quote ${(item.event as { bid?: number }).bid}`
    if (published.has(key) || killed.has(host.name)) return []
    const market = marketKey(item.event)
    const k = shardOf(market, partitions)
    if (!isOwner(host.name, k, at)) return []
    return [
      {
        promise: 'item dropped',
        detail: `${host.name} had shard ${k}, and lost ${key} of ${market} that it got at ${at}`,
      },
    ]
  })
}

/** Whether what a host had at a time was nobody else's from then on. */
function isAlone(
  owners: readonly { readonly host: string | undefined; readonly at: number }[],
  host: string,
  at: number,
): boolean {
  if (owners.findLast((each) => each.at <= at)?.host !== host) return false
  return !owners.some((each) => each.at > at && each.host !== host)
}

/** The store leaves out trades that may be repeats, and are. */
function withoutRepeats(records: readonly FixedRecord[]): FixedRecord[] {
  const known = new Set<string>()
  return records.filter(({ market, event }) => {
    const { id, maybe } = event as Trade
    const isRepeat = maybe === true && known.has(`${market} ${id}`)
    known.add(`${market} ${id}`)
    return !isRepeat
  })
}

/**
 * R6: the rows are what counts in the fixed topics, each once, but for what a gap says that retention has removed. What a topic has lost with
 * its end may have been stored before, or later.
 */
export function checkRows(store: MemoryStore, fixed: Fixed, lost: LostFixed): Violation[] {
  const holes = holesInRows(store)
  return (['trade', 'quote'] as const).flatMap((channel): Violation[] => {
    const records: readonly FixedRecord[] = fixed[channel]
    // What is told of an offset may be of what was lost, and not of what came in its place.
    const kept = records.filter(
      ({ shard, offset }) =>
        !isGone(holes, `${NAMES.fixed[channel]}:${shard}`, offset) || lost.isAgain(channel, shard, offset),
    )
    const more: readonly FixedRecord[] = [...lost.records[channel], ...lost.unmarked[channel]]
    const mayHave = new Set(more.map(rowOf))
    const expected = withoutRepeats(kept).map(rowOf)
    const found = store.rows.get(channel) ?? []
    const { missing, extra } = difference(expected, found)
    // A batch that the consumer had in hand of what was lost, through an outage of the database, is stored in the place of what came then.
    const mayMiss = new Set(
      kept.filter(({ shard, offset }) => lost.isAgain(channel, shard, offset)).map(rowOf),
    )
    const lacks = missing.filter((row) => !mayMiss.has(row))
    const has = extra.filter((row) => !mayHave.has(row))
    const twice = extra.filter((row) => mayHave.has(row) && found.indexOf(row) !== found.lastIndexOf(row))
    if (lacks.length + has.length + twice.length === 0) return []
    return [
      {
        promise: 'rows',
        detail: `${channel}: missing ${some(lacks)}; too many ${some(has)}; stored again ${some(twice)}`,
      },
    ]
  })
}

/** R3, R14: what could not be read and was not stored before lies in a dead letter, with all its bytes. */
export function checkLetters(store: MemoryStore, broker: MemoryBroker): Violation[] {
  const records = broker.topics.get(NAMES.deadLetters)?.partitions[0]?.archive ?? []
  const letters = new Map(records.map((record) => [record.key, decodeDeadLetter(record)]))
  return holesInRows(store).flatMap(({ place, from, to, isRotten }): Violation[] => {
    if (!isRotten) return []
    const [topic = '', partition] = place.split(':')
    const lay = broker.topics.get(topic)?.partition(Number(partition)).everRotten ?? []
    // Offsets may come a second time.
    const rotten = lay.filter((batch) => batch.from <= from && to < batch.to)
    const letter = letters.get(`${place}:${from}`)
    const bytes = letter && 'bytes' in letter ? letter.bytes : undefined
    if (rotten.some((batch) => Buffer.from(batch.bytes).toString('base64') === bytes)) return []
    const what =
      rotten.length === 0 ? 'is not rotten' : bytes === undefined ? 'has no letter' : 'has other bytes'
    return [{ promise: 'dead letter', detail: `${from} to ${to} of ${place} ${what}` }]
  })
}

/** As the database in memory tells rows apart. */
function rowOf({ event }: FixedRecord): string {
  const { exchange, symbol, id, bid } = event as Trade & Quote
  return `${exchange} ${symbol} ${id ?? bid}`
}

function difference(expected: readonly string[], found: readonly string[]) {
  const count = new Map<string, number>()
  for (const each of expected) count.set(each, (count.get(each) ?? 0) + 1)
  for (const each of found) count.set(each, (count.get(each) ?? 0) - 1)
  const missing = [...count].flatMap(([each, n]) => (n > 0 ? [each] : []))
  const extra = [...count].flatMap(([each, n]) => (n < 0 ? [each] : []))
  return { missing, extra }
}

function some(list: readonly string[]): string {
  return `${list.length}${list.length === 0 ? '' : ` (${list.slice(0, 3).join(', ')})`}`
}
