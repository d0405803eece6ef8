import { describe, test } from 'node:test'
import type { WebSocket } from 'ws'
import { coinbase } from '../../../src/adapters/source/coinbase/source.ts'
import { SEED } from '../../seed.ts'
import {
  BTC,
  ETH,
  HEARTBEAT,
  openCryptoCompare,
  startService,
  TRADE,
  WELCOME,
} from './cryptocompare-fixtures.ts'
import { openOn } from './opened.ts'
import { FRAMES, survive } from './random-frames.ts'
import { Service, sendFrame } from './service.ts'

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
})
