import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { z } from 'zod'
import {
  createClient,
  type End,
  type KnownMarket,
  type Reset,
  type StoredCandle,
  type StoredQuote,
  type StoredTrade,
  type StreamEvent,
  type StreamInfo,
  type Trade,
  type WebhookMessage,
  type WebhookRequest,
} from '../../src/client/index.ts'
import type { Market } from '../../src/domain/markets.ts'
import type { StoredRow } from '../../src/domain/stored-rows.ts'
import type { streamSchema } from '../../src/gateway/schemas/streams.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** The compiler refuses it unless both types are the same. */
function same<A, B>(_isSame: Equal<A, B>): void {}

/** What a loop over a stream gets. */
type ItemOf<S> = S extends AsyncIterable<infer Item> ? Item : never

const client = createClient()
const markets = { symbols: ['BTC-*'] } as const

test('events are typed by channel and by fields', () => {
  const trades = client.stream({ channel: 'trade', ...markets })
  same<ItemOf<typeof trades>, StreamEvent<'trade'> | Reset | End>(true)
  same<StreamEvent<'trade'>['price'], number>(true)
  same<keyof StreamEvent<'trade'>, 'type' | keyof Trade>(true)

  const prices = client.stream({ channel: 'trade', ...markets, fields: ['price', 'side'] })
  type Price = Extract<ItemOf<typeof prices>, { type: 'trade' }>
  same<keyof Price, 'type' | 'exchange' | 'symbol' | 'ts' | 'price' | 'side'>(true)
  same<Price['side'], 'buy' | 'sell' | 'unknown'>(true)

  const quotes = client.stream({ channel: 'quote', ...markets })
  type Quote = Extract<ItemOf<typeof quotes>, { type: 'quote' }>
  same<Quote['bid'], number | undefined>(true)

  const resumed = client.resume({ channel: 'candle', stream: 'x', fields: ['close'] })
  same<
    keyof Extract<ItemOf<typeof resumed>, { type: 'candle' }>,
    'type' | 'exchange' | 'symbol' | 'ts' | 'close'
  >(true)

  client.stream({ channel: 'candle', ...markets, interval: '10s', lateness: '1s', empty: true })
  client.stream({ channel: 'quote', ...markets, every: '250ms' })
  // @ts-expect-error: an interval is of candles
  client.stream({ channel: 'trade', ...markets, interval: '1m' })
  // @ts-expect-error: a field of another channel
  client.stream({ channel: 'trade', ...markets, fields: ['bid'] })
  // @ts-expect-error: no such channel
  client.stream({ channel: 'trades', ...markets })
  const candles = client.since({ channel: 'candle', ...markets, from: '1d', interval: '1h' })
  same<ItemOf<typeof candles>, StreamEvent<'candle'> | Reset | End>(true)
  // @ts-expect-error: the database has no such candles
  client.since({ channel: 'candle', ...markets, from: '1d', interval: '10s' })
  // @ts-expect-error: trades have no interval
  client.since({ channel: 'trade', ...markets, from: '1d', interval: '1m' })
  client.stream({ channel: 'trade', ...markets }, { slow: 'latest' })
  // @ts-expect-error: no such choice
  client.stream({ channel: 'trade', ...markets }, { slow: 'never' })
  const hook = { url: 'https://example.com/hook', maxWait: '2s' }
  const asked: WebhookRequest = { ...hook, spec: { channel: 'trade', ...markets, where: 'size > 1' } }
  const read: WebhookRequest = { ...hook, stream: 's', cursor: 'c' }
  // @ts-expect-error: it reads a stream that is there, or a new one
  const neither: WebhookRequest = hook
  assert.deepEqual([asked.url, read.url, neither.url], [hook.url, hook.url, hook.url])
  same<Extract<WebhookMessage<'trade'>, { op: 'data' }>['events'][number]['price'], number>(true)
  // @ts-expect-error: trades have no interval
  client.trades({ symbol: 'BTC-USD', interval: '1m' })
})

test('answers have the types of the schemas that the platform sends by', () => {
  same<StoredTrade, StoredRow<'trade'>>(true)
  same<StoredQuote, StoredRow<'quote'>>(true)
  same<StoredCandle, StoredRow<'candle'>>(true)
  same<Omit<KnownMarket, 'read'>, Market>(true)
  // As far as the client promises it.
  const asInfo = (stream: z.output<typeof streamSchema>): Pick<StreamInfo, 'id' | 'spec' | 'ttl'> => stream
  assert.equal(typeof asInfo, 'function')
})

test('the types that a loop narrows', async () => {
  const kinds: string[] = []
  const item = { type: 'end', reason: 'removed' } as ItemOf<ReturnType<typeof client.stream<'trade'>>>
  switch (item.type) {
    case 'trade':
      same<typeof item.price, number>(true)
      break
    case 'reset':
      same<typeof item.cursor, string>(true)
      break
    case 'end':
      kinds.push(item.reason)
  }
  assert.deepEqual(kinds, ['removed'])
})
