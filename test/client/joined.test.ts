import assert from 'node:assert/strict'
import { test } from 'node:test'
import { historyAndLive } from '../../src/client/joined.ts'
import { candlesAndLive } from '../../src/client/joined-candles.ts'
import { until } from '../e2e/platform-process.ts'
import { startPlatform } from '../gateway/platform.ts'

/** Every market's only stored trade. */
const STORED = {
  id: '7',
  side: 'buy',
  price: 1.5,
  size: 2,
  ts: 1_767_225_600_000_001,
  recvTs: 1_767_225_600_000_002,
}

test('what history gave does not come again, however far the markets of other shards are by then', async (t) => {
  const platform = await startPlatform(t)
  // The seam lies a second after the stored trades.
  const overlap = Date.now() * 1_000 - (STORED.ts + 1_000_000)
  const request = { channel: 'trade', symbols: ['BTC-EUR', 'BTC-USD'], from: '2026-01-01' } as const
  const came: string[] = []
  const loop = (async () => {
    for await (const event of historyAndLive(
      { url: platform.url, key: undefined },
      request,
      undefined,
      overlap,
    ))
      came.push(event.type === 'trade' ? `${event.symbol} ${event.id}` : event.type)
  })()
  await until('the stream is read', () => (platform.delivery.connections.at(-1)?.streams.size ?? 0) > 0)
  const { endpoint, streams } = platform.delivery.connections.at(-1) ?? assert.fail()
  const [stream = ''] = streams
  const later = Date.now() * 1_000 + overlap
  const events = [
    { exchange: 'kraken', symbol: 'BTC-EUR', ...STORED },
    { exchange: 'kraken', symbol: 'BTC-EUR', ...STORED, id: '8', ts: later, recvTs: later },
    { exchange: 'kraken', symbol: 'BTC-USD', ...STORED },
    { exchange: 'kraken', symbol: 'BTC-USD', ...STORED, id: '9', ts: later, recvTs: later },
  ]
  const message = { op: 'data', stream, cursor: 'c', events }
  endpoint.sendEncoded(Buffer.from(JSON.stringify(message)), 'c', events.length)
  endpoint.send({ op: 'end', stream, reason: 'enough' })
  await loop
  assert.deepEqual(came, ['BTC-EUR 7', 'BTC-USD 7', 'BTC-EUR 8', 'BTC-USD 9', 'end'])
})

test('candles of the database go on as those of a stream, each once', async (t) => {
  const platform = await startPlatform(t)
  const minute = 60_000_000
  const stored = Date.parse('2026-01-01T00:00:00Z') * 1_000
  // The seam is two minutes after the stored candle.
  const overlap = Date.now() * 1_000 - (stored + 2.5 * minute)
  const request = { channel: 'candle', symbols: ['BTC-USD'], from: '2026-01-01', interval: '1m' } as const
  const came: unknown[] = []
  const loop = (async () => {
    for await (const event of candlesAndLive(
      { url: platform.url, key: undefined },
      request,
      undefined,
      overlap,
    ))
      came.push(
        event.type === 'candle' ? [(event.ts - stored) / minute, event.close, event.closed] : event.type,
      )
  })()
  await until('the stream is read', () => (platform.delivery.connections.at(-1)?.streams.size ?? 0) > 0)
  const { endpoint, streams } = platform.delivery.connections.at(-1) ?? assert.fail()
  const [stream = ''] = streams
  assert.equal(platform.desk.leases.get(stream)?.spec.interval, '1m')
  const prices = { open: 1, high: 4, low: 0.5, close: 3, volume: 9, trades: 2 }
  const events = [0, 1, 2, 3].map((k) => {
    return {
      exchange: 'kraken',
      symbol: 'BTC-USD',
      interval: '1m',
      ...prices,
      ts: stored + k * minute,
      closed: true,
    }
  })
  endpoint.sendEncoded(
    Buffer.from(JSON.stringify({ op: 'data', stream, cursor: 'c', events })),
    'c',
    events.length,
  )
  endpoint.send({ op: 'end', stream, reason: 'enough' })
  await loop
  assert.deepEqual(came, [[0, 2, true], [2, 3, true], [3, 3, true], 'end'])
})
