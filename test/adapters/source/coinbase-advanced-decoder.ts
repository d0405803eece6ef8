import { best, type Decoder, type Side, STEPS, SYMBOLS, set, worldsOf } from './decoded.ts'

const NUMBER = /"sequence_num":\d+/

/** A source connects at most 60 times a minute: what would end one more is not sent. */
const MOST_CONNECTIONS = 30

/** Nanoseconds behind the milliseconds, as the service writes its times. */
const timeOf = (ms: number, random: () => number): string =>
  new Date(ms).toISOString().replace('Z', `${String(Math.floor(random() * 1e6)).padStart(6, '0')}Z`)

/** Cut to microseconds. */
const microsOf = (time: string): number =>
  Date.parse(`${time.slice(0, 19)}Z`) * 1_000 + Number(/\.(\d{6})/.exec(time)?.[1])

/** The number of a message that can be read as one. */
function numberOf(text: string): number | undefined {
  try {
    const { channel, sequence_num: number } = JSON.parse(text)
    return typeof channel === 'string' && Number.isSafeInteger(number) ? number : undefined
  } catch {
    return undefined
  }
}

/** A frame has one channel and a list of events. The side of a trade is the maker's. All messages of a connection are numbered together. */
export const coinbaseAdvanced: Decoder = {
  source: 'coinbase-advanced',
  symbols: SYMBOLS,
  requests: 4,
  frames(random) {
    const frames: string[] = []
    let number = 0
    for (const [product_id, world] of worldsOf(this.symbols, random)) {
      const told = (channel: string, event: object) => {
        const timestamp = timeOf(world.ms, random)
        frames.push(JSON.stringify({ channel, timestamp, sequence_num: number++, events: [event] }))
      }
      const trade = () => {
        const isSale = random() < 0.5
        const [price, size] = [String(world.price(isSale)), String(world.size())]
        const trade_id = String(++world.id)
        const side = isSale ? 'BUY' : 'SELL'
        return { product_id, trade_id, price, size, side, time: timeOf(world.ms, random) }
      }
      const updates = (bids: Side, asks: Side) =>
        (
          [
            ['bid', bids],
            ['offer', asks],
          ] as const
        ).flatMap(([side, levels]) =>
          [...levels].map(([price, size]) => {
            const event_time = timeOf(world.ms, random)
            return { side, event_time, price_level: String(price), new_quantity: String(size) }
          }),
        )
      told('market_trades', { type: 'snapshot', trades: [trade(), trade(), trade()].reverse() })
      told('l2_data', { type: 'snapshot', product_id, updates: updates(world.bids, world.asks) })
      for (let i = 0; i < STEPS; i++) {
        const kind = world.whole(10)
        if (kind < 3) told('market_trades', { type: 'update', trades: [trade()] })
        else if (kind < 5) {
          const one = (side: Side, sign: 1 | -1) =>
            (world.whole(9) === 0 ? undefined : best(side, sign, 1)[0])?.map(String) ?? ['0', '0']
          const [[best_bid, best_bid_quantity], [best_ask, best_ask_quantity]] = [
            one(world.bids, -1),
            one(world.asks, 1),
          ]
          const sides = { best_bid, best_bid_quantity, best_ask, best_ask_quantity }
          const ticker = { type: 'ticker', product_id, price: '100', volume_24_h: '16038.28770938', ...sides }
          told('ticker', { type: 'update', tickers: [ticker] })
        } else if (kind === 9)
          told('heartbeats', { current_time: timeOf(world.ms, random), heartbeat_counter: i })
        else {
          const { bids, asks } = world.changes()
          told('l2_data', { type: 'update', product_id, updates: updates(bids, asks) })
        }
      }
    }
    return frames
  },
  read(text, into) {
    const { channel, events } = JSON.parse(text)
    for (const event of events)
      if (channel === 'market_trades')
        for (const { product_id, trade_id, side, price, size, time } of event.trades.toReversed())
          into.trade(
            ...[product_id, trade_id, side === 'BUY' ? 'sell' : 'buy'],
            ...[Number(price), Number(size), microsOf(time)],
          )
      else if (channel === 'ticker')
        for (const {
          product_id,
          best_bid,
          best_bid_quantity,
          best_ask,
          best_ask_quantity,
        } of event.tickers) {
          const side = (price: string, size: string) =>
            Number(price) === 0 ? [null, null] : [Number(price), Number(size)]
          into.quote(product_id, ...side(best_bid, best_bid_quantity), ...side(best_ask, best_ask_quantity))
        }
      else if (channel === 'l2_data') {
        const book = into.of(event.product_id)
        if (event.type === 'snapshot') for (const side of [book.bids, book.asks]) side.clear()
        for (const { side, price_level, new_quantity } of event.updates)
          set(side === 'bid' ? book.bids : book.asks, [[price_level, new_quantity]])
        into.shown(event.product_id)
      }
  },
  /** A number that cannot be read is not used up: it would be one that is missing, and what it was in would never be looked at. */
  connections(texts, spoil) {
    const connections: string[][] = [[]]
    let last: number | undefined
    for (const text of texts) {
      const sent = spoil(text.replace(NUMBER, `"sequence_num":${last === undefined ? 0 : last + 1}`))
      connections.at(-1)?.push(sent)
      const number = numberOf(sent)
      if (number === undefined || number === last) continue
      const isNext = last === undefined || number === last + 1
      if (!isNext && connections.length === MOST_CONNECTIONS) connections.at(-1)?.pop()
      else last = isNext ? number : undefined
      if (last === undefined) connections.push([])
    }
    return connections
  },
}
