import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { WebSocket } from 'ws'
import { coinbase } from '../../../src/adapters/source/coinbase/source.ts'
import { createReplaySource } from '../../../src/adapters/source/replay.ts'
import { quietLog } from '../../quiet.ts'
import { SEED } from '../../seed.ts'
import { writeCapture } from './captures.ts'
import {
  BTC,
  ETH,
  HEARTBEAT,
  openCryptoCompare,
  startService,
  TRADE,
  WELCOME,
} from './cryptocompare-fixtures.ts'
import { SPEAKERS } from './exchanges.ts'
import { openOn } from './opened.ts'
import { FRAMES, survive } from './random-frames.ts'
import { Service, sendFrame } from './service.ts'
import { eventsOf, pull } from './waiting.ts'

/** Deeper than what goes through nested values call by call bears. */
const NESTED = `${'['.repeat(20_000)}${']'.repeat(20_000)}`

/** The answer to a request, without its end. */
const ANSWERS: Readonly<Record<string, string>> = {
  binance: '{"result":null,"id":',
  bybit: '{"success":true,"ret_msg":"subscribe","op":"subscribe","req_id":',
  gemini: '{"status":200,"id":',
}

describe('random frames', () => {
  test(`CryptoCompare: ${FRAMES} of them stop nothing and yield only valid events (seed ${SEED})`, async (t) => {
    const valid = [
      TRADE,
      WELCOME,
      HEARTBEAT,
      { TYPE: '16', MESSAGE: 'SUBSCRIBECOMPLETE', SUB: '0~Coinbase~BTC~USD' },
      { TYPE: '500', MESSAGE: 'INVALID_SUB', PARAMETER: '0~Coinbase~ETH~USD', INFO: 'x' },
      {
        TYPE: '2',
        MARKET: 'Coinbase',
        FROMSYMBOL: 'BTC',
        TOSYMBOL: 'USD',
        PRICE: 1,
        BID: 1,
        LASTUPDATE: 1753190418,
      },
      {
        TYPE: '24',
        MARKET: 'Coinbase',
        FROMSYMBOL: 'BTC',
        TOSYMBOL: 'USD',
        TS: 1753190400,
        UNIT: 'm',
        OPEN: 1,
        HIGH: 1,
        LOW: 1,
        CLOSE: 1,
        VOLUMEFROM: 1,
        TOTALTRADES: 2,
      },
    ]
    const service = await startService(t)
    const { source } = await openCryptoCompare(t, service, { markets: [BTC, ETH] })
    await survive(source, service, { valid, last: { ...TRADE, ID: 'last' } })
  })

  test(`Coinbase: ${FRAMES} of them stop nothing and yield only valid events (seed ${SEED})`, async (t) => {
    const product_id = 'BTC-USD'
    const time = '2021-04-17T16:43:37.089723Z'
    const match = { type: 'match', trade_id: 1, side: 'sell', size: '985', price: '0.1', product_id, time }
    const valid = [
      match,
      { type: 'ticker', product_id, price: '1', best_bid: '1', best_ask: '2', volume_24h: '3', time },
      { type: 'heartbeat', product_id, time },
      { type: 'subscriptions', channels: [{ name: 'matches', product_ids: [product_id] }] },
      { type: 'error', message: 'Failed to subscribe', reason: 'X-Y is not a valid product' },
    ]
    const confirm = (_: unknown, socket: WebSocket) => sendFrame(socket, valid[3])
    const service = await Service.start(t, { received: confirm })
    const markets = [{ exchange: 'coinbase', symbol: product_id }]
    const { source } = await openOn(t, coinbase, service, { markets, reconnect: 1_000 })
    await survive(source, service, { valid, last: { ...match, trade_id: 'last' } })
  })

  for (const { kind, frame } of SPEAKERS.filter(({ kind: { name } }) => name in ANSWERS))
    test(`${kind.title}: an answer to no number stops nothing`, async (t) => {
      const service = await Service.start(t)
      const market = { exchange: kind.name, symbol: 'BTC-USD' }
      const { source } = await openOn(t, kind, service, { markets: [market], reconnect: 1_000 })
      await service.asked('a subscribe', () => true)
      for (const request of ['{"toString":1,"valueOf":1}', '[{"toString":1}]', NESTED, 'null', '""'])
        service.send(`${ANSWERS[kind.name]}${request}}`)
      const trade = { id: '7', side: 'buy', price: 100, size: 1, ts: 1_753_190_418_654_000 } as const
      service.send(frame({ ...market, ...trade }))
      await pull(source, 'the trade comes', (items) => eventsOf(items, 'trade').length === 1)
      assert.equal(service.upgrades.length, 1, 'the connection was lost')
    })

  test('a replay counts nested nonsense in a book and goes on', async (t) => {
    const [product_id, time] = ['BTC-USD', '2021-04-17T16:43:37.089723Z']
    const match = { type: 'match', trade_id: 1, side: 'sell', size: '985', price: '0.1', product_id, time }
    const path = await writeCapture(t, [
      `1618677817.1: {"type":"l2update","product_id":"BTC-USD","changes":${NESTED}}`,
      `1618677818.1: ${JSON.stringify(match)}`,
    ])
    const source = createReplaySource({ paths: [path], speed: 'fastest', log: quietLog })
    t.after(() => source.close())
    const items = await pull(source, 'the trade comes', (all) => eventsOf(all, 'trade').length === 1)
    assert.equal(eventsOf(items, 'trade')[0]?.id, '1')
    assert.equal(source.health().counters.malformed, 1)
  })
})
