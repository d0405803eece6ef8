import assert from 'node:assert/strict'
import { compileSpec } from '../../src/domain/compiled-spec.ts'
import type { Candle, Trade } from '../../src/domain/events.ts'
import { OpenWindows } from '../../src/domain/open-windows.ts'
import { parseStreamRequest } from '../../src/domain/stream-spec.ts'
import { parseIsoMicros } from '../../src/domain/time.ts'
import { seededRandom } from '../../src/simulator/random.ts'
import { SEED } from '../seed.ts'
import { trade, unique } from './store-fixtures.ts'

const SECOND = 1_000_000
const MINUTE = 60 * SECOND
const LATENESS = 2 * SECOND

/** A store of trades, as this comparison needs it. */
export interface CandleStore {
  write(trades: readonly Trade[]): Promise<void>
  /** Brings the continuous aggregate up to what is stored; nothing where it always is. */
  refresh(): Promise<void>
  /** The one value of a statement, which is JSON. */
  json(statement: string): Promise<unknown>
  /** What `GET /v1/candles` reads. */
  candles(symbol: string): Promise<readonly ApiCandle[]>
}

type Prices = Pick<Candle, 'exchange' | 'open' | 'high' | 'low' | 'close' | 'volume'>
type ApiCandle = Prices & { readonly ts: string; readonly trades?: number | null | undefined }

/** Candles as lines that can be compared, in the order of markets and times. */
type Lines = readonly (readonly [market: string, ...values: number[]])[]

/** Trades of two markets in the order of the log, with some that are late, and one that is dated ahead of its arrival. */
function logOf(symbol: string, begin: number): { readonly log: readonly Trade[]; readonly ahead: Trade } {
  const random = seededRandom(String(SEED))
  const log: Trade[] = []
  let now = begin
  const add = (exchange: string, ts: number): Trade => {
    const id = String(log.length)
    const [price, size] = [Math.floor(random() * 1_000), Math.ceil(random() * 8) / 4]
    const next = trade({ ...{ exchange, symbol, id, price, size, ts, recvTs: now } })
    log.push(next)
    return next
  }
  const lateness = [0, 0, 0, 0, LATENESS - 1, LATENESS, 70 * SECOND]
  for (let i = 0; i < 300; i++) {
    now += Math.floor(random() * 2 * SECOND)
    const late = Math.floor((lateness[Math.floor(random() * lateness.length)] ?? 0) * random())
    add(random() < 0.5 ? 'kraken' : 'coinbase', Math.max(begin, now - late))
  }
  // In the middle of a minute, whose trades before and after it belong to one candle.
  const both = (): void => {
    now += SECOND
    for (const exchange of ['kraken', 'coinbase']) add(exchange, now)
  }
  now = Math.ceil(now / MINUTE) * MINUTE + 20 * SECOND
  both()
  const ahead = add('kraken', now + 50 * SECOND)
  both()
  // On both sides of the bound, and one of a minute that is long over.
  now = Math.ceil(now / MINUTE) * MINUTE + LATENESS - 1
  add('kraken', now)
  add('kraken', now - LATENESS)
  now++
  add('kraken', now)
  add('kraken', now - LATENESS - 1)
  add('coinbase', begin)
  now += 10 * MINUTE
  for (const exchange of ['kraken', 'coinbase']) add(exchange, now)
  return { log, ahead }
}

/** What a stream of candles gives for a log, and which trades came after their candles. */
function derive(log: readonly Trade[], ahead: Trade): { readonly candles: Lines; readonly late: string[] } {
  const { spec } = parseStreamRequest({ channel: 'trade', symbols: ['*'], interval: '1m' }, 0)
  const windows = new OpenWindows(compileSpec(spec).windows ?? assert.fail('a stream without windows'))
  const made: Candle[] = []
  const late: string[] = []
  for (const each of log) {
    const step = windows.begin()
    const closed = step.take(each) as Candle[]
    step.commit()
    if (step.late > 0) late.push(each.id)
    if (each === ahead) assert.deepEqual(closed, [], 'a trade that is dated ahead closes nothing')
    made.push(...closed)
  }
  return { candles: linesOf(made.map((candle) => ({ ...candle, micros: candle.ts }))), late }
}

function linesOf(
  candles: readonly (Prices & { micros: number; trades?: number | null | undefined })[],
): Lines {
  return candles
    .toSorted((a, b) => a.exchange.localeCompare(b.exchange) || a.micros - b.micros)
    .map(({ exchange, micros, open, high, low, close, volume, trades }) => [
      ...([exchange, micros, open, high, low, close, volume, trades ?? 0] as const),
    ])
}

function readLines(json: unknown): Lines {
  const rows = (json ?? []) as (Prices & { ts: number; trades: number })[]
  return linesOf(rows.map((row) => ({ ...row, micros: row.ts })))
}

const MICROS = (column: string): string => `(extract(epoch from ${column}) * 1000000)::bigint`

/** The candles that SQL makes of the table of trades, but for some of them. */
function ofTrades(symbol: string, until: number, without: readonly string[]): string {
  return `select json_agg(c) as candles from (
    select exchange, ${MICROS("date_bin('1 minute', ts, 'epoch'::timestamptz)")} as ts,
      (array_agg(price order by ts, id::numeric))[1] as open, max(price) as high, min(price) as low,
      (array_agg(price order by ts desc, id::numeric desc))[1] as close, sum(size) as volume, count(*)::int as trades
    from trades where symbol = '${symbol}' and ${MICROS('ts')} < ${until} and id <> all ('{${without.join(',')}}'::text[])
    group by 1, 2) c`
}

/**
 * Compares the candles of a stream with those of a store that has the same trades: SQL over the table of trades, the continuous aggregate, and
 * `GET /v1/candles`. They are the same but for trades that came after `lateness`, which only the store counts. `begin`: the start of a minute, in microseconds.
 */
export async function compareCandles(store: CandleStore, begin: number): Promise<void> {
  const symbol = unique('S')
  const { log, ahead } = logOf(symbol, begin)
  const last = log.at(-1)?.ts ?? assert.fail('a log without trades')
  const until = Math.floor(last / MINUTE) * MINUTE
  const { candles, late } = derive(log, ahead)
  assert.ok(late.length > 1 && late.length < log.length / 2, `${late.length} of ${log.length} are too late`)
  const outOfOrder = log.filter(({ ts, recvTs, id }) => ts < recvTs && !late.includes(id))
  assert.ok(outOfOrder.length > 10, 'others correct their candles')

  // The first part is in the aggregate before the rest comes, some of which belongs to the same minutes.
  const half = Math.floor(log.length / 2)
  await store.write(log.slice(0, half))
  await store.refresh()
  await store.write(log.slice(half))
  await store.refresh()

  const streamed = ofTrades(symbol, until, late)
  assert.deepEqual(candles, readLines(await store.json(streamed)), 'the stream: all but those too late')
  const whole = readLines(await store.json(ofTrades(symbol, until, [])))
  const view = `select json_agg(c) as candles from (select exchange, ${MICROS('bucket')} as ts, open, high, low, close, volume, trades
    from candles_1m where symbol = '${symbol}' and ${MICROS('bucket')} < ${until}) c`
  assert.deepEqual(readLines(await store.json(view)), whole, 'the aggregate: all')
  const api = (await store.candles(symbol)).map((candle) => ({
    ...candle,
    micros: parseIsoMicros(candle.ts) ?? assert.fail(candle.ts),
  }))
  assert.deepEqual(linesOf(api.filter(({ micros }) => micros < until)), whole, 'GET /v1/candles: all')

  const lateOnes = log.filter(({ id }) => late.includes(id))
  const touched = new Set(
    lateOnes.map(({ exchange, ts }) => `${exchange} ${Math.floor(ts / MINUTE) * MINUTE}`),
  )
  const isTouched = ([exchange, ts]: Lines[number]): boolean => touched.has(`${exchange} ${ts}`)
  assert.deepEqual(
    candles.filter((line) => !isTouched(line)),
    whole.filter((line) => !isTouched(line)),
    'candles without such trades are the same',
  )
  const count = (lines: Lines): number => lines.reduce((sum, line) => sum + Number(line.at(-1)), 0)
  assert.equal(
    count(whole) - count(candles),
    late.length,
    'each such trade is in a candle of the store alone',
  )
}
