import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BTC, openCryptoCompare, startService, trade } from './cryptocompare-fixtures.ts'
import { sendFrame } from './service.ts'
import { changesOf, eventsOf, pull, until } from './waiting.ts'

function list(...names: readonly string[]) {
  const exchanges = Object.fromEntries(names.map((name) => [name, { isActive: true, pairs: {} }]))
  return { body: { Response: 'Success', Type: 100, Data: { exchanges } } }
}

describe("CryptoCompare's names of exchanges", () => {
  test('known ones have the names of the service; others are tried as the user wrote them', async (t) => {
    const names: Readonly<Record<string, string>> = {
      ...{ bybit: 'bybit', bitflyer: 'bitFlyer', lmax: 'lmax', okcoin: 'OKCoin', binanceusa: 'binanceusa' },
      ...{
        huobipro: 'HuobiPro',
        kraken: 'Kraken',
        itbit: 'itBit',
        hitbtc: 'HitBTC',
        cryptodotcom: 'cryptodotcom',
      },
      ...{ newplace: 'newplace', oddplace: 'OddPlace', cccagg: 'CCCAGG' },
    }
    const service = await startService(t)
    openCryptoCompare(t, service, {
      markets: Object.keys(names).map((exchange) => ({ exchange, symbol: 'BTC-USD' })),
      channels: ['quote'],
      exchanges: ['OddPlace', 'KRAKEN'],
    })
    await until('all are asked for', () => service.received.length > 0)
    const asked = service.received[0]?.['subs'] as string[]
    assert.deepEqual(
      asked.map((sub) => sub.split('~')[1]),
      Object.values(names),
    )
  })

  test("the service's own list is asked for, and corrects what is known; nobody is accused before", async (t) => {
    const service = await startService(t)
    service.behaviour.received = (frame, socket) => {
      for (const sub of frame['subs'] as string[]) {
        if (frame['action'] === 'SubRemove') continue
        sendFrame(socket, { TYPE: '500', MESSAGE: 'INVALID_SUB', PARAMETER: sub, INFO: 'no such exchange' })
      }
    }
    const refused = Promise.withResolvers<void>()
    service.behaviour.exchanges = async () => {
      await refused.promise
      return list('Coinbase', 'KraKen')
    }
    const { source } = await openCryptoCompare(t, service, {
      markets: [BTC, { exchange: 'kraken', symbol: 'BTC-USD' }],
      channels: ['trade'],
    })
    await until('both were refused', () => source.health().counters.frames >= 3)
    assert.deepEqual(source.health().without, [])
    refused.resolve()
    await service.asked('the other name', (frame) => String(frame['subs']) === '0~KraKen~BTC~USD')
    const removed = service.received.find((frame) => frame['action'] === 'SubRemove')
    assert.deepEqual(removed?.['subs'], ['0~Kraken~BTC~USD'])
    const items = await pull(source, 'both are refused', (all) => eventsOf(all, 'status').length === 2)
    assert.deepEqual(
      eventsOf(items, 'status').map(({ exchange, detail }) => `${exchange}: ${detail}`),
      [
        'coinbase: MARKET_UNKNOWN: 0~Coinbase~BTC~USD: INVALID_SUB: no such exchange',
        'kraken: MARKET_UNKNOWN: 0~KraKen~BTC~USD: INVALID_SUB: no such exchange',
      ],
    )
  })

  test('frames find their market under the new name and under the one before', async (t) => {
    const service = await startService(t)
    service.behaviour.exchanges = () => list('COINBASE')
    const { source } = await openCryptoCompare(t, service, { channels: ['trade'] })
    await service.asked('the listed name', (frame) => String(frame['subs']) === '0~COINBASE~BTC~USD')
    await pull(source, 'it connects', (all) => changesOf(all).length > 0)
    service.send(trade(1, { M: 'COINBASE' }), trade(2, { M: 'Coinbase' }))
    const items = await pull(source, 'both trades', (all) => eventsOf(all, 'trade').length === 2)
    assert.deepEqual(
      eventsOf(items, 'trade').map(({ exchange, id }) => `${exchange} ${id}`),
      ['coinbase 1', 'coinbase 2'],
    )
  })

  test('the list is waited for over a lost connection, and then who is refused is told', async (t) => {
    const service = await startService(t)
    service.behaviour.received = (frame, socket) => {
      for (const sub of frame['subs'] as string[])
        sendFrame(socket, { TYPE: '500', MESSAGE: 'INVALID_SUB', PARAMETER: sub, INFO: 'no such exchange' })
    }
    const listed = Promise.withResolvers<void>()
    service.behaviour.exchanges = async () => {
      await listed.promise
      return list('Coinbase')
    }
    const { source } = await openCryptoCompare(t, service, { channels: ['trade'] })
    await until('it was refused', () => source.health().counters.frames >= 2)
    service.cut()
    await until('it was refused on the next connection', () => source.health().counters.frames >= 4)
    assert.deepEqual(source.health().without, [])
    listed.resolve()
    await until('it is told', () => source.health().without.length === 1)
    assert.match(source.health().without[0]?.why ?? '', /^MARKET_UNKNOWN/)
  })

  test('a list that does not come is asked for once a minute at most, and stops nothing', async (t) => {
    const service = await startService(t)
    service.behaviour.exchanges = () => ({ status: 503, body: 'no list' })
    const { source } = await openCryptoCompare(t, service, { channels: ['trade'] })
    for (let round = 1; round <= 3; round++) {
      await pull(source, 'it connects', (all) => changesOf(all).includes('connected+'))
      service.cut()
    }
    assert.equal(service.directoryCalls, 1)
  })
})
