import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isoMicros } from '../../src/domain/time.ts'
import { startService, TRADE } from '../adapters/source/cryptocompare-fixtures.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const MINUTE = 60
/** The first minute, in seconds: a while ago. */
const BEGIN = Math.floor(Date.now() / 60_000) * MINUTE - 120 * MINUTE
const MINUTES = 10
const iso = (minute: number) => isoMicros((BEGIN + minute * MINUTE) * 1_000_000)

/** A minute as CryptoCompare tells of it while it runs. */
const live = (minute: number, close: number) => ({
  ...{ TYPE: '24', MARKET: 'Binance', FROMSYMBOL: 'BTC', TOSYMBOL: 'USDT', UNIT: 'm', ACTION: 'A' },
  ...{
    TS: BEGIN + minute * MINUTE,
    OPEN: 50,
    HIGH: 60,
    LOW: 40,
    CLOSE: close,
    VOLUMEFROM: 3,
    TOTALTRADES: 4,
  },
})

/** A minute as CryptoCompare has it afterwards. */
const past = (minute: number) => ({
  ...{ time: BEGIN + minute * MINUTE, open: 10, high: 12, low: 9, close: 11, volumefrom: 2.5, volumeto: 25 },
  ...{ conversionType: 'direct', conversionSymbol: '' },
})
const unknown = {
  ...{ Response: 'Error', Message: 'market does not exist for this coin pair (BTC-USD)', Type: 1, Data: {} },
}

interface Row {
  readonly ts: string
  readonly close: number
  readonly closed: boolean
}

test('candles of the past go into the database once, leave what is closed as it is, and do not come in streams', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const service = await startService(t)
  let isAway = true
  service.behaviour.rest = ({ pathname, searchParams }) => {
    if (!pathname.endsWith('/histominute') || isAway) return { status: 503, body: { Message: 'down' } }
    if (searchParams.get('e') !== 'Binance') return { body: unknown }
    const last = Number(searchParams.get('toTs'))
    const asked = Array.from({ length: Number(searchParams.get('limit')) + 1 }, (_, i) => last - i * MINUTE)
    const rows = Array.from({ length: MINUTES }, (_, minute) => past(minute))
    return { body: { Response: 'Success', Data: { Data: rows.filter(({ time }) => asked.includes(time)) } } }
  }
  const source = {
    ...{ kind: 'cryptocompare', url: service.url, restUrl: service.restUrl },
    ...{ markets: ['binance:BTC-USDT'], channels: ['trade', 'candle'] },
  }
  const config = join(folder.path, 'tapeline.yaml')
  await writeFile(config, JSON.stringify({ source }))
  const platform = new PlatformProcess(data, ['--config', config])
  t.after(() => platform.kill())
  await platform.start()
  const answered = async (query = '') => {
    const path = `/v1/candles?exchange=binance&symbol=BTC-USDT&interval=1m&order=asc${query}`
    return (await platform.get<{ candles: readonly { readonly ts: string }[] }>(path)).candles
  }
  const stored = async () => {
    const rows = await platform.sql<Row>('select ts, close, closed from candles order by ts')
    return rows.map(({ ts, close, closed }) => [ts, close, closed])
  }
  const backfill = (market = 'binance:BTC-USDT') =>
    runCommand([
      ...['backfill', '--data', data, '--market', market, '--channel', 'candle'],
      ...['--from', iso(0), '--to', iso(MINUTES)],
    ])

  await service.asked('for candles', ({ subs }) => /24~/.test(JSON.stringify(subs)))
  const trade = { ...TRADE, M: 'Binance', TSYM: 'USDT', TS: BEGIN + 5, RTS: BEGIN + 5 }
  service.send({ ...trade, ID: '1' }, { ...trade, ID: '2', P: 3 }, live(0, 51), live(1, 52))
  const said = [
    [iso(0), 51, true],
    [iso(1), 52, false],
  ]
  await until('what came live is stored', async () => {
    const rows = await stored()
    return rows.length === said.length && rows[0]?.[2] === true && (await answered()).length > 0
  })
  assert.deepEqual(await stored(), said)
  const computed = await answered()
  const client = await StreamClient.open(await platform.api())
  const stream = await client.request({ channel: 'candle', symbols: ['BTC-USDT'] })

  const refused = await backfill()
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /SOURCE_UNAVAILABLE/)
  const [, again = ''] = /Go on with: tapeline (.*)/.exec(refused.stderr) ?? []
  isAway = false
  const wanted = `binance:BTC-USDT: ${MINUTES} candles from ${iso(0)} to ${iso(MINUTES)}\n`
  const went = await runCommand([...again.split(' '), '--data', data])
  assert.deepEqual([went.code, went.stdout], [0, wanted], went.stderr)
  const whole = [[iso(0), 51, true], ...Array.from({ length: MINUTES - 1 }, (_, i) => [iso(i + 1), 11, true])]
  await until('they are stored', async () => (await stored()).length === MINUTES)
  assert.deepEqual(await stored(), whole)

  const twice = await backfill()
  assert.deepEqual([twice.code, twice.stdout], [0, wanted], twice.stderr)
  // What comes live behind them says when they are through.
  service.send(live(20, 53))
  await until('what comes live goes on', async () => (await stored()).some(([ts]) => ts === iso(20)))
  const after = await stored()
  assert.deepEqual(
    after.filter(([ts]) => ts !== iso(1) && ts !== iso(20)),
    whole.filter(([ts]) => ts !== iso(1)),
  )
  assert.deepEqual(await answered(), computed, 'those of trades are as they were')
  const asked = await answered('&origin=source')
  assert.deepEqual(
    asked.map(({ ts }) => ts),
    after.map(([ts]) => ts),
  )
  await until('the stream goes on', () => client.count(stream) >= 3)
  const streamed = client.events(stream) as unknown as readonly Row[]
  assert.deepEqual(
    streamed.map(({ ts, close, closed }) => [isoMicros(Number(ts)), close, closed]),
    [
      [iso(1), 52, false],
      [iso(1), 52, true],
      [iso(20), 53, false],
    ],
    'the latest, and what came live',
  )

  const body = { market: 'binance:BTC-USDT', channel: 'quote', from: iso(0), to: iso(1) }
  await assert.rejects(
    platform.post('/v1/backfill', body),
    /400.*"channel".*INPUT_INVALID|400.*INPUT_INVALID.*"channel"/,
  )
  const stranger = await backfill('kraken:BTC-USD')
  assert.equal(stranger.code, 1)
  assert.match(stranger.stderr, /MARKET_UNKNOWN.*does not exist/s)
  const trades = await runCommand([
    ...['backfill', '--data', data, '--market', 'binance:BTC-USDT', '--from', iso(0)],
  ])
  assert.equal(trades.code, 1)
  assert.match(trades.stderr, /HISTORY_UNAVAILABLE.*no past trades of binance:BTC-USDT/s)
  assert.equal(await platform.stop(), 0)
})
