import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { parseJson } from '../feed/text.ts'
import { type Fields, fieldsOf, microsOfEpoch, sideOfMaker, textOf } from '../feed/wire-fields.ts'

const STREAMS = { trade: '@trade', quote: '@bookTicker' } as const

/** The number of the question that is asked to hear that the service is there. */
const PING = 0

/**
 * Binance's spot streams, bare or wrapped as `{stream, data}`. The service takes a market that it does not have, and stays silent about it.
 * Format: https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md
 */
export const binanceWire: ExchangeWire = {
  exchange: 'binance',
  nameOf: (symbol) => symbol.replace('-', ''),
  // At most 1,024 streams a connection, and five messages a second, pings among them.
  mostNames: 200,
  framesPerSecond: 4,
  idsRise: true,
  refusesWhole: true,
  ping: { frame: JSON.stringify({ method: 'LIST_SUBSCRIPTIONS', id: PING }), everyMs: 20_000 },
  ask(operation, names, channels, request) {
    const streams = channels.flatMap((channel) => (channel === 'candle' ? [] : [STREAMS[channel]]))
    const params = names.flatMap((name) => streams.map((stream) => name.toLowerCase() + stream))
    return [JSON.stringify({ method: operation.toUpperCase(), params, id: request })]
  },
  read(text) {
    const frame = fieldsOf(parseJson(text))
    return [readItem('data' in frame ? fieldsOf(frame['data']) : frame)]
  },
}

function readItem(frame: Fields): WireItem {
  const { e: event, id, s: name } = frame
  if (event === 'trade') {
    const { t, p: price, q: size, T, m } = frame
    return { kind: 'trade', name, id: t, side: sideOfMaker(m), price, size, ts: microsOfEpoch(T) }
  }
  if (event === 'serverShutdown') return { kind: 'ended', words: 'serverShutdown' }
  if (event !== undefined) return { kind: typeof event === 'string' ? 'neutral' : 'malformed' }
  if ('u' in frame && 'b' in frame) {
    const { b: bid, B: bidSize, a: ask, A: askSize, u } = frame
    const sequence = typeof u === 'number' ? u : undefined
    return { kind: 'quote', name, update: { bid, bidSize, ask, askSize }, ts: 'none', sequence }
  }
  const error = 'code' in frame ? frame : fieldsOf(frame['error'])
  if ('msg' in error) return { kind: 'refused', request: id, words: textOf(error['msg']) }
  if (!('result' in frame)) return { kind: 'malformed' }
  return id === PING ? { kind: 'heartbeat' } : { kind: 'taken', request: id }
}
