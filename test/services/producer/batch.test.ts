import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeEvent } from '../../../src/domain/event-codec.ts'
import { type Quote, type Status, shardOf, type Trade } from '../../../src/domain/events.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { type OutgoingEvent, prepareBatch, type ShardEvents } from '../../../src/services/producer/batch.ts'
import { GapWatch } from '../../../src/services/producer/gap-watch.ts'
import type { Shard } from '../../../src/services/producer/shard.ts'
import { quietMeter } from '../../quiet.ts'
import { ownedShard } from './shards.ts'

const PARTITIONS = 2
const SECOND = 1_000_000
/** Two markets whose shards differ. */
const HERE = 'BTC-USD'
const THERE =
  ['ETH-USD', 'SOL-USD', 'XRP-USD', 'ADA-USD'].find((symbol) => place(symbol) !== place(HERE)) ?? ''

function place(symbol: string): number {
  return shardOf(`kraken:${symbol}`, PARTITIONS)
}

/** What a batch is prepared with: both shards are owned, and the source was connected at second 0, unless it is said otherwise. */
function setUp(owned: readonly number[] = [0, 1]) {
  const shards = new Map<number, Shard>(owned.map((k) => [k, ownedShard({ k })]))
  const gaps = new GapWatch()
  const kept = new Set<string>()
  const counted: Record<string, number> = {}
  const told: string[] = []
  const meter = {
    ...quietMeter,
    count(name: string, amount = 1) {
      counted[name] = (counted[name] ?? 0) + amount
    },
  }
  const prepare = (...items: readonly SourceItem[]) => {
    const { phases } = prepareBatch(
      { items },
      {
        ...{
          source: { name: 'test' },
          partitions: PARTITIONS,
          shards,
          gaps,
          kept,
          meter,
          nowMicros: () => 99 * SECOND,
        },
        onGap: () => undefined,
        onGapFlagged: () => undefined,
        onConflict: ({ id }) => told.push(`conflict ${id}`),
        onOversized: ({ channel }, bytes) => told.push(`oversized ${channel} ${bytes > 512 * 1024}`),
      },
    )
    return { status: listed(phases[0]), market: listed(phases[1]), events: [...phases[1].values()] }
  }
  prepare(connected())
  return { shards, gaps, kept, counted, told, prepare }
}

/** What goes where, in order. */
function listed(events: ShardEvents): string[] {
  return [...events].flatMap(([k, ofShard]) =>
    Object.values(ofShard)
      .flat()
      .map((event) => `${k} ${nameOf(event)}`),
  )
}

function nameOf({ event, reentering }: OutgoingEvent): string {
  const again = reentering ? ' again' : ''
  if ('id' in event) return `${event.symbol} ${event.id}${event.maybe ? ' maybe' : ''}${again}`
  if (!('state' in event)) return `${event.symbol} ${event.ts / SECOND}${again}`
  const range =
    event.from === undefined ? '' : ` ${event.from / SECOND}-${(event.to ?? 0) / SECOND} ${event.cause}`
  return `${event.state}${range}`
}

function trade(id: string, second: number, change: Partial<Trade> = {}): SourceItem & { channel: 'trade' } {
  const ts = second * SECOND
  const market = { exchange: 'kraken', symbol: HERE }
  const event = { ...market, id, side: 'buy' as const, price: 1, size: 1, ts, recvTs: ts, ...change }
  return { channel: 'trade', event }
}

function quote(second: number, change: Partial<Quote> = {}): SourceItem & { channel: 'quote' } {
  const ts = second * SECOND
  return { channel: 'quote', event: { exchange: 'kraken', symbol: HERE, bid: 1, ts, recvTs: ts, ...change } }
}

function connected(change: Partial<Status> = {}): SourceItem {
  const status = { source: 'test', exchange: '', state: 'connected', detail: '', ts: 0, ...change } as const
  return { channel: 'connection', status, mayHaveMissed: true }
}

describe('a batch of the source', () => {
  test('is sorted by shard, with what is said of sources in front', () => {
    const { prepare } = setUp()
    const { status, market } = prepare(
      trade('1', 1),
      trade('2', 1, { symbol: THERE }),
      quote(2),
      { channel: 'connection', status: { source: 'test', exchange: '', state: 'stale', detail: '', ts: 0 } },
      trade('3', 2),
    )
    assert.deepEqual(status, [`${shardOf(':', PARTITIONS)} stale`])
    assert.deepEqual(market, [
      `${place(HERE)} ${HERE} 1`,
      `${place(HERE)} ${HERE} 3`,
      `${place(HERE)} ${HERE} 2`,
      `${place(THERE)} ${THERE} 2`,
    ])
  })

  test('loses what belongs to shards of other processes, but no word about the source itself', () => {
    const { prepare } = setUp([place(HERE)])
    const away = { source: 'test', exchange: '', state: 'disconnected', detail: '', ts: 0 } as const
    const { status, market } = prepare(trade('1', 1, { symbol: THERE }), quote(2), {
      channel: 'connection',
      status: away,
    })
    assert.deepEqual([status, market], [[`${place(HERE)} disconnected`], [`${place(HERE)} ${HERE} 2`]])
  })

  test('publishes a trade once, and tells of one that has the id of another', () => {
    const { prepare, counted, told } = setUp()
    prepare(trade('1', 1))
    const { market } = prepare(trade('1', 1), trade('1', 1, { price: 2 }), trade('2', 3), trade('2', 3))
    assert.deepEqual(market, [`${place(HERE)} ${HERE} 1`, `${place(HERE)} ${HERE} 2`])
    assert.equal(counted['duplicates_dropped_total'], 2)
    assert.deepEqual(told, ['conflict 1'])
  })

  test('marks a trade of which nobody knows whether it was published', () => {
    const { prepare, counted, shards } = setUp()
    shards.get(place(HERE))?.missTrades(10 * SECOND)
    const { market } = prepare(trade('1', 70), trade('2', 71))
    assert.deepEqual(market, [`${place(HERE)} ${HERE} 1 maybe`, `${place(HERE)} ${HERE} 2`])
    assert.equal(counted['maybe_repeated_total'], 1)
  })

  test('lets what re-enters through, marked, also where it was published before, and makes no gap of it', () => {
    const { prepare, counted } = setUp()
    prepare(trade('1', 1))
    const again = { ...trade('1', 1), reentering: true as const }
    const { market, status } = prepare(connected(), again, { ...trade('0', 0), reentering: true })
    assert.deepEqual(market, [`${place(HERE)} ${HERE} 1 again`, `${place(HERE)} ${HERE} 0 again`])
    assert.deepEqual(
      status.filter((each) => each.includes('gap')),
      [],
    )
    assert.equal(counted['reentering_total'], 2)
  })

  test('leaves out what no record can hold, and tells; it moves no window', () => {
    const { prepare, told } = setUp()
    const id = 'x'.repeat(600 * 1024)
    assert.deepEqual(prepare(trade(id, 1), quote(1, { symbol: id })).market, [])
    assert.deepEqual(told, ['oversized trade true', 'oversized quote true'])
    assert.deepEqual(
      prepare(connected(), trade('2', 5)).status.filter((each) => each.includes('gap')),
      [],
    )
  })

  test('keeps what is to be called once an event lies in its topic', () => {
    const { prepare } = setUp()
    const published = (): void => {}
    const [events] = prepare({ ...trade('1', 1), reentering: true, published }).events
    assert.equal(events?.trade?.[0]?.published, published)
  })
})

describe('a gap of a market', () => {
  test('is flagged in front of the first trade after an interruption, and filled where the source repeats enough', () => {
    const { prepare, counted } = setUp()
    prepare(trade('1', 1), trade('2', 2))
    const missed = prepare(connected(), trade('5', 5), trade('6', 6))
    assert.deepEqual(missed.status.slice(1), [`${place(HERE)} gap 2-5 reconnect`])
    const repeated = prepare(connected(), trade('6', 6), trade('7', 7))
    assert.deepEqual(repeated.status.slice(1), [
      `${place(HERE)} gap 6-7 reconnect`,
      `${place(HERE)} recovered 6-7 reconnect`,
    ])
    assert.equal(counted['gaps_total'], 2)
  })

  test('is one of its own where only that market was away', () => {
    const { prepare } = setUp()
    prepare(trade('1', 1), trade('1', 1, { symbol: THERE }))
    const { status } = prepare(
      connected({ exchange: 'kraken', symbol: HERE }),
      trade('5', 5),
      trade('5', 5, { symbol: THERE }),
    )
    assert.deepEqual(
      status.filter((each) => each.includes('gap')),
      [`${place(HERE)} gap 1-5 reconnect`],
    )
  })

  test('is one of those markets alone whose source was away, where there are several sources', () => {
    const { prepare } = setUp()
    const there = { exchange: 'okx' }
    prepare(trade('1', 1), trade('1', 1, there))
    const change = connected({ source: 'okx' })
    assert.ok(change.channel === 'connection')
    const { status } = prepare(
      { ...change, of: [{ exchange: 'okx', symbol: HERE }] },
      trade('5', 5),
      trade('5', 5, there),
    )
    assert.deepEqual(status.filter((each) => each.includes('gap')).length, 1)
    const [gap] = status.filter((each) => each.includes('gap'))
    assert.ok(gap?.endsWith('gap 1-5 reconnect'), gap)
  })

  test('is flagged at once where the source names a later trade that it has not given', () => {
    const { prepare } = setUp()
    prepare(trade('1', 1))
    const named = {
      channel: 'last-trade',
      exchange: 'kraken',
      symbol: HERE,
      id: '4',
      ts: 4 * SECOND,
    } as const
    assert.deepEqual(prepare(named).status, [`${place(HERE)} gap 1-4 source`])
    assert.deepEqual(prepare(named).status, [], 'once')
  })
})

describe('what was sent for a former ownership', () => {
  test('counts only where it follows what the owner in between published, until the next connection', () => {
    const { prepare, kept, shards } = setUp()
    const shard = shards.get(place(HERE))
    const key = `kraken:${HERE}`
    prepare(trade('5', 5))
    const latest = quote(5).event
    shard?.tails.quote.latest.set(key, {
      ...{ offset: 0, market: key, event: latest, value: encodeEvent(latest) },
    })
    kept.add(key)
    const { market } = prepare(trade('3', 3), trade('6', 6), quote(4), quote(5), quote(6))
    assert.deepEqual(market, [`${place(HERE)} ${HERE} 6`, `${place(HERE)} ${HERE} 6`])
    prepare(connected())
    assert.equal(kept.size, 0)
    assert.deepEqual(prepare(quote(4)).market, [`${place(HERE)} ${HERE} 4`])
  })
})
