import type { Book, Candle, Quote, Status, Trade } from '../../domain/events.ts'
import { isoMicros } from '../../domain/time.ts'
import { plainText } from '../table.ts'

/** An event as one readable line; what is none of the known shapes as its JSON. */
export function eventLine(event: unknown): string {
  return plainText(lineOf(event))
}

/** Which channel a record belongs to is not written in it: the fields that only one channel has tell. */
function lineOf(event: unknown): string {
  if (typeof event !== 'object' || event === null || !('ts' in event)) return JSON.stringify(event) ?? ''
  if ('side' in event) return tradeLine(event as Trade)
  if ('state' in event) return statusLine(event as Status)
  if ('open' in event) return candleLine(event as Candle)
  if ('bids' in event) return bookLine(event as Book)
  if ('recvTs' in event) return quoteLine(event as Quote)
  return JSON.stringify(event)
}

function tradeLine({ ts, exchange, symbol, side, size, price, id }: Trade): string {
  return `${market(ts, exchange, symbol)} ${side.padEnd(7)} ${size} @ ${price}  #${id}`
}

function quoteLine({ ts, exchange, symbol, bid, bidSize, ask, askSize, last }: Quote): string {
  const sides = [sided('bid', bid, bidSize), sided('ask', ask, askSize), sided('last', last, undefined)]
  return `${market(ts, exchange, symbol)} ${sides.filter(Boolean).join('  ')}`
}

function candleLine(candle: Candle): string {
  const { ts, exchange, symbol, interval, open, high, low, close, volume, closed } = candle
  const prices = `open ${open}  high ${high}  low ${low}  close ${close}  volume ${volume}`
  return `${market(ts, exchange, symbol)} ${interval} ${prices}${closed ? '' : '  (still open)'}`
}

function bookLine({ ts, exchange, symbol, snapshot, bids, asks, doubt }: Book): string {
  if (doubt !== undefined) return `${market(ts, exchange, symbol)} in doubt: ${doubt}`
  const best = [sided('bid', bids[0]?.[0], bids[0]?.[1]), sided('ask', asks[0]?.[0], asks[0]?.[1])]
  const kind = snapshot ? 'snapshot' : 'changes'
  return `${market(ts, exchange, symbol)} ${kind} ${bids.length} bids, ${asks.length} asks  ${best.filter(Boolean).join('  ')}`
}

function statusLine({ ts, source, exchange, symbol, state, from, to, detail, cause }: Status): string {
  const where = [exchange, symbol].filter(Boolean).join(' ')
  const range =
    from === undefined && to === undefined
      ? ''
      : ` from ${from === undefined ? '?' : isoMicros(from)} to ${to === undefined ? '?' : isoMicros(to)}`
  return `${isoMicros(ts)} ${source}${where ? ` ${where}` : ''}: ${state}${range}${cause ? ` (${cause})` : ''}  ${detail}`
}

function market(ts: number, exchange: string, symbol: string): string {
  return `${isoMicros(ts)} ${exchange.padEnd(9)} ${symbol.padEnd(9)}`
}

function sided(name: string, price: number | undefined, size: number | undefined): string {
  if (price === undefined) return ''
  return size === undefined ? `${name} ${price}` : `${name} ${price} (${size})`
}
