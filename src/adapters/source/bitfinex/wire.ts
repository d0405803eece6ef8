import { hashOf } from '../../../domain/crc32.ts'
import type { NewLevel } from '../../../domain/order-book.ts'
import { depthOf } from '../feed/book-wire.ts'
import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import type { FeedChannel } from '../feed/source-kind.ts'
import { parseExact } from '../feed/text.ts'
import { readCount, readNumber, readPrice } from '../feed/values.ts'
import { type Fields, fieldsOf, listOf, microsOfMillis, namesOf, textOf } from '../feed/wire-fields.ts'

/** What Bitfinex calls some assets. Source: https://api-pub.bitfinex.com/v2/conf/pub:map:currency:sym */
const ASSETS: Readonly<Record<string, string>> = {
  ALGO: 'ALG',
  ATOM: 'ATO',
  IOTA: 'IOT',
  USDC: 'UDC',
  USDT: 'UST',
}

const CHANNELS = {
  trade: { channel: 'trades' },
  // The best prices are those of a book: its ticker comes every 15 s.
  quote: { channel: 'book', prec: 'P0', freq: 'F0', len: '25' },
  book: { channel: 'book', prec: 'P0', freq: 'F0', len: '25' },
} as const

const DEPTHS = [25, 100, 250]

/** Asks for checksums of books. */
const CONF = JSON.stringify({ event: 'conf', flags: 131_072 })

/** The service asks for another connection, or comes back from maintenance. */
const RECONNECT: ReadonlySet<unknown> = new Set([20051, 20061])

/** Codes of errors: it is subscribed already, the connection has its most channels, there is no such subscription. */
const ALREADY_SUBSCRIBED = 10301
const FULL = 10305
const NOT_SUBSCRIBED = 10400

interface Channel {
  readonly channel: 'trades' | 'book'
  readonly name: string
  /** Sizes of the levels of a book, by price. */
  readonly bids: Map<number, number>
  readonly asks: Map<number, number>
}

/**
 * Bitfinex's public WebSocket, version 2. Its data name a channel by a number that belongs to the connection. A trade comes twice, as `te` at once and as `tu` later: the
 * first counts. Ids rise over all markets. Format: https://docs.bitfinex.com/reference/ws-public-trades
 */
export function createBitfinexWire(): ExchangeWire {
  const channels = new Map<unknown, Channel>()
  /** Channels that nobody wants any more, whose numbers have not come yet. */
  const unwanted = new Set<string>()
  return {
    exchange: 'bitfinex',
    nameOf,
    usualAsset,
    mostNames: 1,
    framesPerSecond: 10,
    ping: { frame: JSON.stringify({ event: 'ping', cid: 1 }), everyMs: 20_000 },
    books: { checksum: 'in-turns', isUnsorted: true },
    ask(event, names, asked, _request, depth) {
      const kinds = channelsOf(asked, depth)
      const keys = names.flatMap((name) => [...kinds.keys()].map((channel) => keyOf({ channel, name })))
      for (const key of keys) unwanted.delete(key)
      if (event === 'unsubscribe') {
        const found = [...channels].filter(([, channel]) => keys.includes(keyOf(channel)))
        const known = new Set(found.map(([, channel]) => keyOf(channel)))
        for (const key of keys) if (!known.has(key)) unwanted.add(key)
        return found.map(([chanId]) => unsubscribeOf(chanId))
      }
      const frames = names.flatMap((symbol) =>
        [...kinds.values()].map((each) => JSON.stringify({ event, ...each, symbol })),
      )
      return asked.includes('book') ? [CONF, ...frames] : frames
    },
    opened() {
      channels.clear()
      unwanted.clear()
    },
    read(text) {
      const frame = parseExact(text)
      if (Array.isArray(frame)) return readData(channels.get(frame[0]), frame)
      return [readEvent(fieldsOf(frame), channels, unwanted)]
    },
  }
}

/** What to ask for, by channel: one book does for best prices too. */
function channelsOf(asked: readonly FeedChannel[], depth: number): ReadonlyMap<string, object> {
  const len = asked.includes('book') ? String(depthOf(DEPTHS, depth)) : CHANNELS.quote.len
  return new Map(
    namesOf(CHANNELS, asked).map((each) => [each.channel, each.channel === 'book' ? { ...each, len } : each]),
  )
}

/** What Bitfinex calls the market of a symbol. */
export function nameOf(symbol: string): string {
  const [base = '', quote = ''] = symbol.split('-').map((asset) => ASSETS[asset] ?? asset)
  return `t${base}${base.length > 3 || quote.length > 3 ? ':' : ''}${quote}`
}

/** What everybody calls an asset of Bitfinex's. */
export function usualAsset(own: string): string {
  return Object.keys(ASSETS).find((asset) => ASSETS[asset] === own) ?? own
}

const keyOf = ({ channel, name }: { readonly channel: string; readonly name: string }) => `${channel} ${name}`

const unsubscribeOf = (chanId: unknown) => JSON.stringify({ event: 'unsubscribe', chanId })

function readEvent(frame: Fields, channels: Map<unknown, Channel>, unwanted: Set<string>): WireItem {
  const { event, channel, chanId, symbol, code, msg } = frame
  if (event === 'pong') return { kind: 'heartbeat' }
  if (event === 'info' && RECONNECT.has(code)) return { kind: 'ended', words: textOf(msg) || `info ${code}` }
  if (event === 'error') return readError(frame)
  if (event === 'unsubscribed') channels.delete(chanId)
  if (event !== 'subscribed') return { kind: typeof event === 'string' ? 'neutral' : 'malformed' }
  if (typeof symbol !== 'string' || (channel !== 'trades' && channel !== 'book')) return { kind: 'malformed' }
  channels.set(chanId, { channel, name: symbol, bids: new Map(), asks: new Map() })
  return unwanted.delete(keyOf({ channel, name: symbol }))
    ? { kind: 'reply', frame: unsubscribeOf(chanId) }
    : { kind: 'taken', name: symbol }
}

function readError({ code, msg, symbol: name }: Fields): WireItem {
  if (code === NOT_SUBSCRIBED) return { kind: 'neutral' }
  if (code === ALREADY_SUBSCRIBED) return { kind: 'taken', name }
  return { ...{ kind: 'refused', name, words: textOf(msg) }, ...(code === FULL && { isFull: true }) }
}

function readData(channel: Channel | undefined, [, first, second]: readonly unknown[]): readonly WireItem[] {
  if (first === 'hb') return [{ kind: 'heartbeat' }]
  if (channel === undefined) return [{ kind: 'malformed' }]
  const { name } = channel
  if (channel.channel === 'book' && first === 'cs')
    return [typeof second === 'number' ? { kind: 'checksum', name, checksum: second } : { kind: 'malformed' }]
  if (channel.channel === 'book') return readBook(channel, first)
  if (first === 'te') return [readTrade(name, second)]
  // The trades before the subscribe, newest first.
  if (Array.isArray(first)) return first.toReversed().map((each) => readTrade(name, each))
  return [{ kind: typeof first === 'string' ? 'neutral' : 'malformed' }]
}

/** `[id, milliseconds, amount, price]`: the taker sold where the amount is below 0. */
function readTrade(name: string, row: unknown): WireItem {
  const [id, ts, amount, price] = listOf(row)
  const size = readNumber(amount)
  const side = size === undefined ? undefined : size < 0 ? 'sell' : 'buy'
  const told = typeof amount === 'string' ? amount.replace('-', '') : size && Math.abs(size)
  return { kind: 'trade', name, id, side, price, size: told, ts: microsOfMillis(ts) }
}

/** Levels `[price, count, amount]`: a bid where the amount is above 0; with a count of 0 the level is gone. A list of them is the whole book. */
function readBook({ name, bids, asks }: Channel, told: unknown): readonly WireItem[] {
  const rows = listOf(told)
  const isWhole = rows.length === 0 || Array.isArray(rows[0])
  if (!Array.isArray(told)) return [{ kind: typeof told === 'string' ? 'neutral' : 'malformed' }]
  const changed: { readonly bids: NewLevel[]; readonly asks: NewLevel[] } = { bids: [], asks: [] }
  if (isWhole) for (const side of [bids, asks]) side.clear()
  for (const row of isWhole ? rows : [rows]) {
    const fields = listOf(row)
    const [price, count, amount] = [readPrice(fields[0]), readCount(fields[1]), readNumber(fields[2])]
    // An amount of 0 has no side.
    if (price === undefined || count === undefined || !amount)
      return [unreadable(name), { kind: 'malformed' }]
    const side = amount > 0 ? bids : asks
    const size = count === 0 ? 0 : Math.abs(amount)
    changed[amount > 0 ? 'bids' : 'asks'].push({ price, size, hash: hashOf(`${price}:${amount}`) })
    if (count === 0) side.delete(price)
    else side.set(price, Math.abs(amount))
  }
  const [bid, ask] = [bestOf(bids, 1), bestOf(asks, -1)]
  const update = { bid, bidSize: bids.get(bid ?? 0), ask, askSize: asks.get(ask ?? 0) }
  return [
    { kind: 'quote', name, update, ts: 'none' },
    { kind: 'book', name, snapshot: isWhole, ...changed, ts: undefined },
  ]
}

function unreadable(name: string): WireItem {
  return { kind: 'book', name, snapshot: false, bids: undefined, asks: undefined, ts: undefined }
}

/** Null where nobody offers. `sign`: 1 where the highest price is the best one. */
function bestOf(side: ReadonlyMap<number, number>, sign: 1 | -1): number | null {
  let best: number | null = null
  for (const price of side.keys()) if (best === null || (price - best) * sign > 0) best = price
  return best
}
