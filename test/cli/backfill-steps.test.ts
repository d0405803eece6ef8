import assert from 'node:assert/strict'
import { test } from 'node:test'
import { command } from '../../src/cli/backfill.ts'
import type { Candle, Trade } from '../../src/domain/events.ts'
import { TapelineError } from '../../src/errors.ts'
import type { Backfills } from '../../src/ports/backfills.ts'
import { PAST_CHANNELS, type PastEvent, type Source } from '../../src/ports/source.ts'
import type { ProducerParts } from '../../src/services/producer/parts.ts'
import { createPastPublisher } from '../../src/services/producer/past-publisher.ts'
import { startPlatform } from '../gateway/platform.ts'
import { recordingTerminal } from './recording-terminal.ts'

const FROM = Date.UTC(2026, 2, 2) * 1_000
const PAGE = 5

/** Trades of an exchange that has several at one moment, also where a page ends. */
const TRADES = Array.from({ length: 23 }, (_, i): Trade => {
  const ts = FROM + Math.floor(i / 3) * 1_000_000
  const market = { exchange: 'kraken', symbol: 'BTC-USD' }
  return { ...market, id: String(i), side: 'buy', price: 1, size: 1, ts, recvTs: ts }
})

const CANDLES = Array.from({ length: 23 }, (_, i): Candle => {
  const prices = { open: 1, high: 1, low: 1, close: 1, volume: i }
  const market = { exchange: 'kraken', symbol: 'BTC-USD' }
  return { ...market, ...prices, interval: '1m', ts: FROM + i * 60_000_000, closed: true, origin: 'source' }
})

const history: NonNullable<Source['history']> = async function* (_market, { from, to }, _signal, channel) {
  const past: readonly PastEvent[] =
    channel === 'candle'
      ? CANDLES.map((event) => ({ channel, event }))
      : TRADES.map((event) => ({ channel: 'trade', event }))
  const events = past.filter(({ event: { ts } }) => ts >= from && ts <= to)
  for (let at = 0; at < events.length; at += PAGE) yield { events: events.slice(at, at + PAGE), since: from }
}

const IDS = { trade: TRADES.map(({ id }) => id), candle: CANDLES.map(({ ts }) => String(ts)) }

test('tapeline backfill says what --channel it can take', async () => {
  const flags = { market: 'kraken:BTC-USD', from: '1h', channel: 'quote' }
  await assert.rejects(async () => command.run(flags, [], recordingTerminal()), {
    code: 'USAGE',
    message: '--channel takes trade or candle, not "quote"',
  })
})

for (const channel of PAST_CHANNELS)
  test(`tapeline backfill of ${channel}s goes step by step; one that was interrupted goes on where it says, and leaves nothing out`, async (t) => {
    const past = createPastPublisher({
      source: { name: 'kraken', history },
      now: Date.now,
    } as unknown as ProducerParts)
    const published: string[] = []
    past.listen(({ items, done }) => {
      for (const item of items) {
        if (item.channel === 'trade') published.push(item.event.id)
        if (item.channel === 'candle') published.push(String(item.event.ts))
        if ('published' in item) item.published?.()
      }
      done?.()
    })
    let steps = 0
    let broken = 3
    /** Each step ends with the first page that has brought it further. */
    const backfills: Backfills = {
      async step({ market, channel: asked, from, to }, signal) {
        if (++steps === broken) throw new TapelineError('SOURCE_UNAVAILABLE', 'the exchange is away')
        const turn = setInterval(() => past.fetched(0), 1)
        const found = await past
          .publish(market, { from, to }, signal, { forMs: 0, channel: asked })
          .finally(() => clearInterval(turn))
        assert.ok(found)
        const { count, since, through } = found
        return { count, since, next: through < to ? through : null }
      },
    }
    const { url } = await startPlatform(t, { backfills })
    const flags = { api: url, market: 'kraken:BTC-USD', from: '2026-03-02', to: '2026-03-03', channel }
    const first = recordingTerminal()
    await assert.rejects(async () => command.run(flags, [], first), { code: 'SOURCE_UNAVAILABLE' })
    assert.ok(published.length > 0 && published.length < IDS[channel].length, 'a part is there')
    const goOn = /--channel (\S+) --from (\S+) --to (\S+)/.exec(first.noted.at(-1) ?? '')
    assert.ok(goOn, first.noted.join('\n'))

    broken = 0
    const second = recordingTerminal()
    const [, ...said] = goOn
    assert.equal(said[0], channel)
    const [, from = '', to = ''] = said
    assert.equal(await command.run({ ...flags, from, to }, [], second), 0)
    assert.ok(steps > 4, `${steps} steps`)
    assert.deepEqual([...new Set(published)], IDS[channel], 'all of them, the oldest first')
    const again = published.filter((id, i) => published.indexOf(id) < i)
    // Only those of the moment at which a step ended may come again: the store has them.
    const times =
      channel === 'trade'
        ? TRADES.filter(({ id }) => again.includes(id)).map(({ ts }) => ts)
        : again.map(Number)
    const ends = new Set(times)
    assert.ok(ends.size <= steps, `${again.length} came again`)
  })
