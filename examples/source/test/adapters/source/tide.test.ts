import { test } from 'node:test'
import { tide } from '../../../src/adapters/source/tide/source.ts'
import { describeSource } from '../../contract/source.ts'
import { SEED } from '../../seed.ts'
import { openOn } from './opened.ts'
import { playing, type SentLine } from './playing.ts'
import { survive } from './random-frames.ts'
import { Service, sendFrame } from './service.ts'

/** A line of the script as Tide sends it. */
function frame(line: SentLine): object {
  const { symbol: market, ts } = line
  const time = ts / 1_000
  if ('ticker' in line) {
    const { bid, ask, last, volume24h } = line.ticker
    return { type: 'ticker', market, bid, ask, last, volume24h, time }
  }
  const { id, side, price, size } = line
  const taker = side === 'buy' ? 'buyer' : 'seller'
  return { type: 'trade', market, id, taker, price: String(price), size: String(size), time }
}

/** The markets of the script are asked for one by one: it begins when the second is. */
const isSubscribe = (asked: object) => 'market' in asked && asked.market === 'ETH-USD'

describeSource('tide', {
  way: 'websocket',
  exchange: 'tide',
  finite: false,
  idsRise: false,
  open: async (t, { markets, lines }) => {
    const service = await playing(t, lines, { isSubscribe, frame })
    return (await openOn(t, tide, service, { markets })).source
  },
})

test(`Tide: random frames stop nothing (seed ${SEED})`, async (t) => {
  const market = 'BTC-USD'
  const trade = { type: 'trade', market, id: '1', taker: 'buyer', price: '1', size: '2', time: 1.7e12 }
  const taken = { type: 'taken', market }
  const refused = { type: 'refused', market: 'X-Y', reason: 'no such market' }
  const valid = [trade, { type: 'ticker', market, bid: 1, time: 1.7e12 }, taken, refused, { type: 'alive' }]
  const service = await Service.start(t, { received: (_, socket) => sendFrame(socket, taken) })
  const { source } = await openOn(t, tide, service, {
    markets: [{ exchange: 'tide', symbol: market }],
    reconnect: 1_000,
  })
  await survive(source, service, { valid, last: { ...trade, id: 'last' } })
})
