import assert from 'node:assert/strict'
import { test } from 'node:test'
import { binance } from '../../../src/adapters/source/binance/source.ts'
import { bitfinex } from '../../../src/adapters/source/bitfinex/source.ts'
import { kraken } from '../../../src/adapters/source/kraken/source.ts'
import { DIALECTS } from '../../../src/simulator/exchanges/index.ts'
import { openOn } from './opened.ts'
import { Service } from './service.ts'
import { eventsOf, pull, until } from './waiting.ts'

const trade = (symbol: string) => ({
  ...{ symbol, id: '7', side: 'buy' as const, price: 100.25, size: 0.5, ts: 1_753_190_418_654_000 },
})

test('two symbols for which an exchange has one name: the first is delivered, the second refused', async (t) => {
  const service = await Service.start(t)
  const of = (symbol: string) => ({ exchange: 'binance', symbol })
  const { source } = await openOn(t, binance, service, {
    markets: [of('BTC-USDT'), of('BTCU-SDT')],
    channels: ['trade'],
  })
  source.subscribe([of('BTCUS-DT')])
  await until('it has asked', () => service.received.length > 0)
  service.send(DIALECTS.binance.frame(trade('BTC-USDT')))
  const items = await pull(source, 'a trade', (all) => eventsOf(all, 'trade').length > 0)
  assert.deepEqual(
    eventsOf(items, 'trade').map(({ symbol }) => symbol),
    ['BTC-USDT'],
  )
  const why = 'MARKET_AMBIGUOUS: its name there is BTCUSDT, as is that of binance:BTC-USDT'
  assert.deepEqual(
    source.health().without.map((each) => [each.symbol, each.why]),
    [
      ['BTCU-SDT', why],
      ['BTCUS-DT', why],
    ],
  )
  const asked = service.received.flatMap(({ params }) => params as string[])
  assert.deepEqual(asked, ['btcusdt@trade'])
})

for (const [kind, own, usual] of [
  [kraken, 'XBT-USD', 'BTC-USD'],
  [kraken, 'XDG-EUR', 'DOGE-EUR'],
  [bitfinex, 'BTC-UST', 'BTC-USDT'],
] as const)
  test(`${kind.title}: ${own} is asked for as ${usual} alone`, async (t) => {
    const service = await Service.start(t)
    const { source } = await openOn(t, kind, service, {
      markets: [own, usual].map((symbol) => ({ exchange: kind.name, symbol })),
      channels: ['trade'],
    })
    await until('it has asked', () => service.received.length > 0)
    const why = `MARKET_AMBIGUOUS: it is ${kind.name}:${usual}`
    assert.deepEqual(source.health().without, [{ exchange: kind.name, symbol: own, why }])
    assert.equal(source.health().markets, 1)
    assert.ok(!JSON.stringify(service.received).includes(own.replace('-', '/')))
  })
