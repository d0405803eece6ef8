import assert from 'node:assert/strict'
import { test } from 'node:test'
import { historyAndLive } from '../../src/client/joined.ts'
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
