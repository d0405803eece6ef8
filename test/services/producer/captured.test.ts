import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createReplaySource } from '../../../src/adapters/source/replay.ts'
import type { Status, Trade } from '../../../src/domain/events.ts'
import { isoMicros } from '../../../src/domain/time.ts'
import { writeCapture } from '../../adapters/source/captures.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { until } from '../until.ts'
import { bodyOf, setUp, TOPICS } from './producers.ts'

/** 2026-11-20 10:00:00 UTC, in seconds. */
const TEN = 1_795_168_800
const ADDRESS = 'wss://recorded <->'

type Line = readonly [at: number, frame: object | 'opened']
type World = Awaited<ReturnType<typeof setUp>>

const opened = (at: number): Line => [at, 'opened']
const time = (at: number): string => isoMicros(Math.round((TEN + at) * 1e6))

/** A trade at so many seconds after ten, which arrives 20 ms later. */
function match(product: string, id: unknown, at: number, changes: object = {}): Line {
  const frame = { type: 'match', trade_id: id, side: 'sell', size: '1', price: '100', product_id: product }
  return [at + 0.02, { ...frame, time: time(at), ...changes }]
}

/** The same, but it arrives then. */
const late = ([, frame]: Line, at: number): Line => [at, frame]

const heartbeat = (product: string, id: number, at: number): Line => [
  at,
  { type: 'heartbeat', last_trade_id: id, product_id: product, time: time(at) },
]

/** The lines of `from` to `to`, one a second after `at`. */
const run = (product: string, from: number, to: number, at: number): Line[] =>
  Array.from({ length: to - from + 1 }, (_, i) => match(product, from + i, at + i))

/** Publishes a capture through a producer of its own, to the end. */
async function replay(t: TestContext, world: World, lines: readonly Line[]) {
  const text = lines.map(([at, frame]) => {
    const seconds = (TEN + at).toFixed(6)
    // Ids beyond 2^53 stand as their digits, which JSON.stringify would not write.
    const body = JSON.stringify(frame).replace(/"trade_id":"#(\d+)"/, '"trade_id":$1')
    return frame === 'opened' ? `${ADDRESS} ${seconds}` : `${seconds}: ${body}`
  })
  const path = await writeCapture(t, text)
  const counters = new Map<string, number>()
  const meter = {
    ...quietMeter,
    count: (name: string, by = 1) => void counters.set(name, (counters.get(name) ?? 0) + by),
  }
  const source = createReplaySource({ paths: [path], speed: 'fastest', log: quietLog })
  const producer = await world.start({ source, meter })
  // Whoever looks for more twice after the source has ended has published what came before.
  const looks = new Set<string>()
  await until('everything is published', () => {
    const { errorInfo, state, since } = producer.machine.report()
    if (source.ended && state === 'fetchingData') looks.add(since)
    return looks.size > 2 && errorInfo === null
  })
  await producer.leave()
  await source.close()
  const { malformed } = source.health().counters
  return { count: (name: string) => counters.get(name) ?? 0, malformed }
}

async function written(world: World) {
  const trades = (await world.counted(TOPICS.trade)).map((record) => bodyOf<Trade>(record))
  const delivered = (await world.counted('app.all')).map((record) => bodyOf<Trade>(record))
  const gaps = (await world.counted(TOPICS.status))
    .map((record) => bodyOf<Status>(record))
    .filter(({ state }) => state === 'gap' || state === 'recovered')
    .map(({ symbol, state, from = 0, to = 0, cause }) => {
      const second = (ts: number): number => ts / 1e6 - TEN
      return [symbol, state, second(from), second(to), cause]
    })
  return { trades, delivered, gaps }
}

/** Publishes captures one after the other, each by a process of its own, and gives what is written then. */
async function published(t: TestContext, ...captures: readonly (readonly Line[])[]) {
  const world = await setUp(t)
  const results = []
  for (const lines of captures) results.push(await replay(t, world, lines))
  return { ...(await written(world)), results, last: results.at(-1) as (typeof results)[number] }
}

test('a sweep of 2,000 fills at one time is new to the last one, and delivered', async (t) => {
  const fills = Array.from({ length: 2_000 }, (_, i) => match('SWEEP-USD', i + 1, 5))
  const { trades, delivered, last } = await published(t, [opened(0), ...fills])
  assert.equal(trades.length, 2_000)
  assert.equal(delivered.length, 2_000)
  assert.equal(last.count('reentering_total') + last.count('maybe_repeated_total'), 0)
})

test('a time far in the future is refused, and silences nothing; its id makes no hole', async (t) => {
  const odd = match('FUT-USD', 10, 10, { time: '2026-12-10T10:00:10.000000Z' })
  const lines = [opened(0), ...run('FUT-USD', 1, 9, 1), odd, ...run('FUT-USD', 11, 700, 11)]
  const { trades, delivered, gaps } = await published(t, [
    ...lines,
    opened(800),
    ...run('FUT-USD', 720, 720, 801),
  ])
  assert.equal(trades.length, 700)
  assert.deepEqual(
    delivered.map(({ id }) => id),
    trades.map(({ id }) => id),
  )
  assert.deepEqual(gaps, [['FUT-USD', 'gap', 700, 801, 'reconnect']])
})

test('a trade after hundreds of others with the id of an early one is another one by its content, else the same', async (t) => {
  const again = [match('TWICE-USD', 5, 5, { price: '77' }), match('TWICE-USD', 6, 6.00005)]
  const { trades, last } = await published(t, [opened(0), ...run('TWICE-USD', 1, 600, 1), ...again])
  assert.deepEqual(
    trades.filter(({ id }) => id === '5').map(({ price }) => price),
    [100, 77],
  )
  assert.equal(trades.filter(({ id }) => id === '6').length, 1)
  assert.deepEqual([last.count('trade_conflicts_total'), last.count('duplicates_dropped_total')], [1, 1])
})

test('what cannot be told is published and delivered with a mark', async (t) => {
  const name = (n: number) => `t${n}`
  const many = Array.from({ length: 400 }, (_, n) => match('MAY-USD', name(n), n))
  // The snapshot of the first process has the last 128.
  const again = [
    match('MAY-USD', name(100), 100),
    match('MAY-USD', name(399), 399),
    match('MAY-USD', 'x', 500),
  ]
  const { trades, delivered, last } = await published(t, [opened(0), ...many], [opened(600), ...again])
  const marked = (events: readonly Trade[]) => events.slice(400).map(({ id, maybe }) => [id, maybe])
  assert.deepEqual(marked(trades), [
    ['t100', true],
    ['x', undefined],
  ])
  assert.deepEqual(marked(delivered), marked(trades))
  assert.deepEqual([last.count('maybe_repeated_total'), last.count('duplicates_dropped_total')], [1, 1])
})

test('two sources of one exchange whose times differ in precision give each trade once', async (t) => {
  const fine = Array.from({ length: 705 }, (_, n) => match('TWO-USD', n, n / 7 + 0.000123))
  const coarse = (n: number) => late(match('TWO-USD', n, Math.floor((n / 7 + 0.000123) * 1_000) / 1_000), 200)
  const last = Array.from({ length: 20 }, (_, n) => coarse(685 + n))
  const early = Array.from({ length: 20 }, (_, n) => coarse(300 + n))
  const { trades, results } = await published(t, [opened(0), ...fine], [opened(200), ...last, ...early])
  const again = trades.slice(705)
  assert.deepEqual(
    again.map(({ id, maybe }) => [id, maybe]),
    early.map((_, n) => [String(300 + n), true]),
    'what the checkpoint has is recognised; the database looks the others up',
  )
  assert.equal(results[1]?.count('duplicates_dropped_total'), 20)
  assert.equal(results[1]?.count('trade_conflicts_total'), 0)
})

test('the same id for different trades: each is stored, and what is repeated counts as such', async (t) => {
  const zero = [1, 2, 3].map((n) => match('ZERO-USD', 0, n, { price: `${n}`, size: `${n}` }))
  const spelled = ['xyz-usd', 'Xyz-Usd', 'XYZ-USD'].map((product, n) => match(product, 1, 10 + n))
  const repeat = [match('REPEAT-USD', 7, 4), match('REPEAT-USD', 7, 4)]
  const { trades, last } = await published(t, [opened(0), ...zero, ...repeat, ...spelled])
  assert.equal(trades.length, 3 + 1 + 3)
  assert.equal(last.count('duplicates_dropped_total'), 1)
  assert.equal(last.count('trade_conflicts_total'), 2 + 2)
})

test('numbers beyond 2^53 keep all their digits, and what skips there is a gap', async (t) => {
  const ids = ['9007199254740992', '9007199254740993', '9007199254740995', '123456789012345678901234567890']
  const lines = ids.map((id, n) => match('BIG-USD', `#${id}`, n + 1))
  const { trades, gaps, last } = await published(t, [opened(0), ...lines])
  assert.deepEqual(
    trades.map(({ id }) => id),
    ids,
  )
  assert.equal(last.malformed, 0)
  assert.deepEqual(gaps, [
    ['BIG-USD', 'gap', 2, 3, 'source'],
    ['BIG-USD', 'gap', 3, 4, 'source'],
  ])
})

test('what a source shows to be missing is a gap at once; what is late by less than a second is none', async (t) => {
  const { gaps, trades } = await published(t, [
    opened(0),
    ...[...run('BEAT-USD', 31, 32, 1), heartbeat('BEAT-USD', 35, 4), match('BEAT-USD', 36, 6)],
    ...[...run('BARE-USD', 61, 62, 11), match('BARE-USD', 65, 15)],
    ...[...run('SOLID-USD', 91, 91, 20), heartbeat('SOLID-USD', 91, 21), match('SOLID-USD', 92, 22)],
    ...[match('LATE-USD', 1, 30), match('LATE-USD', 4, 30.2), match('LATE-USD', 3, 30.4)],
    ...[match('LATE-USD', 2, 30.9), match('LATE-USD', 5, 31)],
    ...[
      match('FILL-USD', 1, 40),
      match('FILL-USD', 3, 41),
      heartbeat('FILL-USD', 3, 44),
      match('FILL-USD', 2, 45),
    ],
    ...[match('FILL-USD', 4, 46)],
    ...[match('QUIET-USD', 7, 50), heartbeat('QUIET-USD', 9, 51), heartbeat('QUIET-USD', 9, 60)],
    match('QUIET-USD', 10, 100),
    ...[match('END-USD', 1, 200), heartbeat('END-USD', 2, 201)],
  ])
  assert.deepEqual(
    gaps.toSorted((a, b) => Number(a[2]) - Number(b[2])),
    [
      ['BEAT-USD', 'gap', 2, 6, 'source'],
      ['BARE-USD', 'gap', 12, 15, 'source'],
      ['FILL-USD', 'gap', 40, 41, 'source'],
      ['QUIET-USD', 'gap', 50, 51, 'source'],
      ['END-USD', 'gap', 200, 201, 'source'],
    ],
  )
  assert.deepEqual(
    trades.filter(({ symbol }) => symbol === 'LATE-USD').map(({ id }) => id),
    ['1', '2', '3', '4', '5'],
    'late ones come in their place',
  )
})

test('a gap is recovered where the last trade came again or the next id follows, and by nothing else', async (t) => {
  const { gaps } = await published(t, [
    opened(0),
    ...run('KNOWN-USD', 1, 4, 1),
    ...run('NEXT-USD', 1, 4, 1),
    ...run('LAST-USD', 1, 4, 1),
    ...run('BOTH-USD', 1, 4, 1),
    ...[match('TEXT-USD', 'a', 1), match('TEXT-USD', 'b', 2)],
    ...[match('WORD-USD', 'a', 1), match('WORD-USD', 'b', 2)],
    opened(60),
    ...[match('KNOWN-USD', 2, 2, { type: 'last_match' }), match('KNOWN-USD', 9, 61)],
    match('NEXT-USD', 5, 62),
    ...[match('LAST-USD', 9, 63, { type: 'last_match' }), match('LAST-USD', 10, 64)],
    ...[match('BOTH-USD', 4, 4, { type: 'last_match' }), match('BOTH-USD', 7, 65)],
    ...[match('TEXT-USD', 'b', 2), match('TEXT-USD', 'c', 66)],
    ...[match('WORD-USD', 'a', 1), match('WORD-USD', 'c', 67)],
    heartbeat('KNOWN-USD', 9, 70),
  ])
  assert.deepEqual(
    gaps.toSorted((a, b) => Number(a[3]) - Number(b[3])),
    [
      ['KNOWN-USD', 'gap', 4, 61, 'reconnect'],
      ['NEXT-USD', 'gap', 4, 62, 'reconnect'],
      ['NEXT-USD', 'recovered', 4, 62, 'reconnect'],
      ['LAST-USD', 'gap', 4, 63, 'reconnect'],
      ['BOTH-USD', 'gap', 4, 65, 'reconnect'],
      ['TEXT-USD', 'gap', 2, 66, 'reconnect'],
      ['TEXT-USD', 'recovered', 2, 66, 'reconnect'],
      ['WORD-USD', 'gap', 2, 67, 'reconnect'],
    ],
  )
})

test("a gap ends with the first trade that follows: neither another market's odd time nor the clock is in it", async (t) => {
  const old = match('QUIET-USD', 8, -126_230_400, { type: 'last_match' })
  const used: Line[] = [opened(0), [1, { type: 'ticker', product_id: 'BUSY-USD', price: '1', time: time(1) }]]
  const { gaps } = await published(t, used, [
    opened(0),
    ...run('BUSY-USD', 1, 2, 1),
    opened(60),
    late(old, 60.1),
    ...[match('BUSY-USD', 2, 2, { type: 'last_match' }), match('BUSY-USD', 3, 61)],
    match('QUIET-USD', 9, 62),
  ])
  assert.deepEqual(gaps, [
    ['BUSY-USD', 'gap', 2, 61, 'reconnect'],
    ['BUSY-USD', 'recovered', 2, 61, 'reconnect'],
  ])
})

test('a trade older than the last one does not end a gap: the one that follows does', async (t) => {
  const { gaps } = await published(t, [
    opened(0),
    ...[match('ODD-USD', 'a', 5), match('NUM-USD', 5, 5), opened(60)],
    ...[late(match('ODD-USD', 'c', 3), 60.1), match('ODD-USD', 'd', 61)],
    ...[late(match('NUM-USD', 9, 4), 62), match('NUM-USD', 10, 71)],
  ])
  assert.deepEqual(gaps.toSorted(), [
    ['NUM-USD', 'gap', 5, 71, 'reconnect'],
    ['ODD-USD', 'gap', 5, 61, 'reconnect'],
  ])
})

test('a producer that starts again says that it was away', async (t) => {
  const { gaps } = await published(
    t,
    [opened(0), ...run('A-USD', 1, 3, 1)],
    [opened(60), match('A-USD', 3, 3, { type: 'last_match' }), match('A-USD', 4, 61), match('A-USD', 6, 62)],
  )
  assert.deepEqual(gaps, [
    ['A-USD', 'gap', 3, 61, 'restart'],
    ['A-USD', 'recovered', 3, 61, 'restart'],
    ['A-USD', 'gap', 61, 62, 'source'],
  ])
})
