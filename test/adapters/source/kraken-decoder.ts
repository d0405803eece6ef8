import { best, type Decoder, type Side, STEPS, SYMBOLS, worldsOf } from './decoded.ts'

const SIDES: readonly unknown[] = ['buy', 'sell']

/**
 * Kraken's frames as ccxt reads them: times are cut to milliseconds, and a side that is neither is unknown. A frame has one channel and a list of what happened there; sizes
 * and prices are numbers.
 */
export const krakenByCcxt: Decoder = {
  source: 'ccxt',
  symbols: SYMBOLS,
  requests: 6,
  frames(random) {
    const frames: string[] = []
    for (const [ours, world] of worldsOf(this.symbols, random)) {
      const symbol = ours.replace('-', '/')
      const told = (channel: string, type: string, data: object) =>
        frames.push(JSON.stringify({ channel, type, data: [{ symbol, ...data }] }))
      const time = () => new Date(world.ms).toISOString().replace('Z', `${100 + world.whole(900)}Z`)
      const levels = (side: Side) => [...side].map(([price, qty]) => ({ price, qty }))
      const sides = (bids: Side, asks: Side) => ({ bids: levels(bids), asks: levels(asks), checksum: 1 })
      told('book', 'snapshot', sides(world.bids, world.asks))
      for (let i = 0; i < STEPS; i++) {
        const kind = world.whole(10)
        if (kind < 4) {
          const side = random() < 0.5 ? 'buy' : 'sell'
          const trade = { side, price: world.price(side === 'sell'), qty: world.size(), ord_type: 'market' }
          told('trade', 'update', { ...trade, trade_id: ++world.id, timestamp: time() })
        } else if (kind < 6) {
          const [bid, bid_qty] = best(world.bids, -1, 1)[0] ?? [0, 0]
          const [ask, ask_qty] = best(world.asks, 1, 1)[0] ?? [0, 0]
          told('ticker', 'update', { bid, bid_qty, ask, ask_qty, last: 100, volume: 12.5, timestamp: time() })
        } else {
          const { bids, asks } = world.changes()
          told('book', 'update', { ...sides(bids, asks), timestamp: time() })
        }
      }
    }
    return frames
  },
  read(text, into) {
    const { channel, data } = JSON.parse(text)
    if (channel !== 'trade') return
    for (const { symbol, trade_id, side, price, qty, timestamp } of data)
      into.trade(
        ...[symbol.replace('/', '-'), String(trade_id), SIDES.includes(side) ? side : 'unknown'],
        ...[Number(price), Number(qty), Date.parse(timestamp) * 1_000],
      )
  },
}
