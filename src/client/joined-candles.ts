import { parseMoment } from '../domain/moment.ts'
import { parseDuration, parseIsoMicros } from '../domain/time.ts'
import { rowsOf } from './history.ts'
import type { Address } from './http.ts'
import { type Joined, type JoinedRequest, merged, OVERLAP, symbolsOf } from './joined.ts'
import { createStream } from './stream.ts'
import type { StoredCandle, StreamEvent } from './types.ts'

/**
 * The candles of the database up to a seam, by their begin, then those of a stream from the seam on, each once and closed. The seam is the begin of
 * a candle, so far back that the database has all trades before it; the stream begins earlier still, since it gives whole candles only.
 */
export async function* candlesAndLive(
  address: Address,
  { symbols, exchanges, from, interval = '1m' }: JoinedRequest<'candle'>,
  signal: AbortSignal | undefined,
  overlap: number = OVERLAP,
): AsyncGenerator<Joined<'candle'>> {
  const first = parseMoment(String(from).replace(/^-/, ''), 'first', Date.now())
  if (first === undefined) throw new TypeError(`from is no time: ${from}`)
  const length = (parseDuration(interval) ?? 0) * 1_000
  const seam = Math.floor((Date.now() * 1_000 - overlap) / length) * length
  if (first < seam) {
    const range = { from: String(first), to: String(seam - 1) }
    const found = await symbolsOf(address, symbols, signal)
    const sources = found.map((symbol) => {
      const query = { symbol, interval, origin: 'trades', ...range } as const
      return rowsOf<StoredCandle>(address, 'candles', query, signal)
    })
    for await (const row of merged(sources))
      if (exchanges === undefined || exchanges.includes(row.exchange)) yield eventOf(row)
  }
  const begin = Math.max(first, seam)
  const request = {
    ...{ channel: 'candle', interval, symbols, from: new Date((begin - overlap) / 1_000).toISOString() },
    ...(exchanges !== undefined && { exchanges }),
  }
  for await (const event of createStream<'candle', never>(address, 'candle', { request }, { signal })) {
    const candle = event as StreamEvent<'candle'>
    if (candle.type !== 'candle' || candle.ts >= begin) yield candle
  }
}

/** A stored candle as the event that a stream gives of it. */
function eventOf({ trades, ts, ...row }: StoredCandle): StreamEvent<'candle'> {
  const counted = trades === null ? {} : { trades }
  return { type: 'candle', ...row, ...counted, ts: parseIsoMicros(ts), closed: true } as StreamEvent<'candle'>
}
