import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AuditedDay } from '../../src/cli/audit/days.ts'
import { isoMicros } from '../../src/domain/time.ts'
import { readLedger, simulate } from '../simulator/client.ts'
import { candlesOf, type Minute } from '../simulator/ledger-candles.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

const EVENTS = 900
/** The simulator's day goes so much faster, and ends long before the present. */
const FASTER = 1_000
const MARKETS = ['binance:BTC-USDT', 'bitfinex:BTC-USD']

test('on the simulator as two exchanges gaps fill themselves, and candles of the past are those of the trades', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const [data, ledger] = [join(folder.path, 'data'), join(folder.path, 'ledger')]
  await copyStoreTemplate(join(data, 'store'))
  const [begun, base] = [performance.now(), Date.now() - 6 * 3_600_000]
  const simulator = await simulate(t, {
    ...{ exchanges: ['binance', 'bitfinex'], markets: MARKETS, events: EVENTS, rate: 150, ledger },
    now: () => base + (performance.now() - begun) * FASTER,
  })
  const sources = MARKETS.map((market) => {
    const kind = market.split(':')[0]
    const url = { url: `ws://127.0.0.1:${simulator.port}/${kind}`, restUrl: `${simulator.url}/${kind}` }
    return { kind, ...url, markets: [market], channels: ['trade'], reconnect: '200ms', reconnectMax: '1s' }
  })
  const config = join(folder.path, 'tapeline.yaml')
  await writeFile(config, JSON.stringify({ sources }))
  const platform = new PlatformProcess(data, ['--config', config])
  t.after(() => platform.kill())
  await platform.start()
  const number = async (sql: string): Promise<number> =>
    Number((await platform.sql<{ n: number }>(`select count(*) as n from ${sql}`))[0]?.n)

  await until(
    'trades of both are stored',
    async () => (await number(`(select distinct exchange from trades)`)) === 2,
  )
  await simulator.misbehave(['ws-drop'])
  const { emitted } = await simulator.stats()
  await until('both miss some', async () => (await simulator.stats()).emitted > emitted + 200)
  await simulator.misbehave([])
  await simulator.done
  await until('all of them are stored', async () => (await number('trades')) === EVENTS)
  const unfilled = `(select exchange from status where state in ('gap', 'recovered') group by exchange, from_ts having count(*) = 1)`
  await until('no gap is open', async () => (await number(unfilled)) === 0)
  assert.ok((await number(`status where state = 'recovered'`)) >= MARKETS.length)

  const trades = await readLedger(ledger)
  const kept = await platform.sql<{ exchange: string; id: string; price: number }>(
    'select exchange, id, price from trades order by exchange, ts, id',
  )
  const key = ({ exchange, id, price }: { exchange: string; id: string; price: number }) =>
    `${exchange} ${id} ${price}`
  assert.deepEqual(kept.map(key).toSorted(), trades.map(key).toSorted())
  const audit = await runCommand(['audit', '--data', data, '--json'])
  const { days } = JSON.parse(audit.stdout) as { days: AuditedDay[] }
  assert.equal(audit.code, 0, audit.stdout)
  assert.equal(
    days.reduce((sum, day) => sum + day.trades, 0),
    EVENTS,
  )

  for (const market of MARKETS) {
    const [exchange = '', symbol = ''] = market.split(':')
    const wanted = [...candlesOf(trades.filter((each) => each.exchange === exchange))]
    const [from, to] = [wanted[0], wanted.at(-1)].map((each) => isoMicros(each?.[0] ?? 0))
    for (let times = 0; times < 2; times++) {
      const { code, stderr } = await runCommand([
        ...['backfill', '--data', data, '--market', market, '--channel', 'candle'],
        ...['--from', from ?? '', '--to', to ?? ''],
      ])
      assert.equal(code, 0, stderr)
    }
    const candles = async () => {
      const path = `/v1/candles?exchange=${exchange}&symbol=${symbol}&interval=1m&order=asc&origin=source`
      return (await platform.get<{ candles: readonly ({ readonly ts: string } & Minute)[] }>(path)).candles
    }
    await until('they are stored', async () => (await candles()).length >= wanted.length)
    // Binance has a candle also of a minute without a trade.
    const stored = (await candles()).filter(({ volume }) => volume > 0)
    assert.deepEqual(
      stored.map(({ ts, open, high, low, close, volume }) => [ts, open, high, low, close, volume]),
      wanted.map(([ts, { open, high, low, close, volume }]) => [
        isoMicros(ts),
        open,
        high,
        low,
        close,
        volume,
      ]),
    )
  }
  assert.equal(await platform.stop(), 0)
})
