import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { coinbaseAdvanced } from '../../../src/adapters/source/coinbase-advanced/source.ts'
import { createCoinbaseAdvancedWire } from '../../../src/adapters/source/coinbase-advanced/wire.ts'
import { isoMicros } from '../../../src/domain/time.ts'
import { describeSource } from '../../contract/source.ts'
import { SEED } from '../../seed.ts'
import { BookReader } from './books.ts'
import { openOn } from './opened.ts'
import { playing, type SentLine } from './playing.ts'
import { Service, sendFrame } from './service.ts'
import { eventsOf, pull, until } from './waiting.ts'

const TS = 1_790_000_000_123_456
const BTC = { exchange: 'coinbase', symbol: 'BTC-USD' }

/** Writes messages of one connection, which are numbered together. */
class Speaker {
  #number = 0

  message(channel: string, ts: number, ...events: readonly object[]): object {
    return { channel, timestamp: `${isoMicros(ts).slice(0, -1)}789Z`, sequence_num: this.#number++, events }
  }

  line = (line: SentLine): object => {
    // Its bytes cannot be read, and with them its number: that would be a message that is missing.
    if ('id' in line && line.id === 'SPOILT') return { channel: 'market_trades', id: line.id }
    const { symbol: product_id, ts } = line
    if (!('ticker' in line)) {
      const { id: trade_id, price, size } = line
      const side = line.side === 'buy' ? 'SELL' : 'BUY'
      const trade = {
        trade_id,
        product_id,
        price: String(price),
        size: String(size),
        side,
        time: isoMicros(ts),
      }
      return this.message('market_trades', ts, { type: 'update', trades: [trade] })
    }
    const { bid, ask, last, volume24h } = line.ticker
    const text = (value: unknown) => (value === undefined ? undefined : String(value))
    const sides = { best_bid: bid === null ? '0' : text(bid), best_ask: ask === null ? '' : text(ask) }
    const ticker = { type: 'ticker', product_id, price: text(last), volume_24_h: text(volume24h), ...sides }
    return this.message('ticker', ts, { type: 'update', tickers: [ticker] })
  }

  book(type: 'snapshot' | 'update', ...rows: readonly (readonly [string, string, string])[]): object {
    const updates = rows.map(([side, price_level, new_quantity]) => {
      return { side, event_time: isoMicros(TS), price_level, new_quantity }
    })
    return this.message('l2_data', TS, { type, product_id: 'BTC-USD', updates })
  }
}

const asksFor = (asked: object, channel: string): boolean =>
  'type' in asked && asked.type === 'subscribe' && 'channel' in asked && asked.channel === channel

describeSource('coinbase-advanced', {
  way: 'websocket',
  exchange: 'coinbase',
  finite: false,
  idsRise: false,
  open: async (t, { markets, lines }) => {
    const speaker = new Speaker()
    const service = await playing(t, lines, {
      isSubscribe: (asked) =>
        asksFor(asked, 'ticker') && (asked as { product_ids: string[] }).product_ids.includes('ETH-USD'),
      frame: speaker.line,
    })
    return (await openOn(t, coinbaseAdvanced, service, { markets })).source
  },
})

describe('Coinbase Advanced', () => {
  test('asks for a channel a frame, and for heartbeats; trades of a snapshot come in the order of their times, with the side of the taker', async (t) => {
    const service = await Service.start(t)
    const { source } = await openOn(t, coinbaseAdvanced, service, { markets: [BTC] })
    await until('it has asked', () => service.received.length === 3)
    assert.deepEqual(service.received, [
      { type: 'subscribe', channel: 'market_trades', product_ids: ['BTC-USD'] },
      { type: 'subscribe', channel: 'ticker', product_ids: ['BTC-USD'] },
      { type: 'subscribe', channel: 'heartbeats' },
    ])
    const speaker = new Speaker()
    const trade = (trade_id: string, side: string, at: number) => ({
      ...{ trade_id, product_id: 'BTC-USD', price: '64000.1', size: '0.01', side, time: isoMicros(at) },
    })
    const trades = [trade('11', 'BUY', TS + 5), trade('10', 'SELL', TS + 5), trade('9', 'BUY', TS)]
    service.send(speaker.message('subscriptions', TS, { subscriptions: { market_trades: ['BTC-USD'] } }))
    service.send(speaker.message('market_trades', TS, { type: 'snapshot', trades }))
    const items = await pull(source, 'three trades', (all) => eventsOf(all, 'trade').length === 3)
    assert.deepEqual(
      eventsOf(items, 'trade').map(({ id, side, ts }) => [id, side, ts - TS]),
      [
        ['9', 'sell', 0],
        ['10', 'buy', 5],
        ['11', 'sell', 5],
      ],
    )
    assert.equal(source.health().counters.malformed, 0)
  })

  test('a message that is missing, of whatever market, makes the connection anew, and with it every book', async (t) => {
    let speaker = new Speaker()
    const service = await Service.start(t, {
      received(asked, socket) {
        if (!asksFor(asked, 'level2')) return
        speaker = new Speaker()
        sendFrame(
          socket,
          speaker.book('snapshot', ['offer', '11', '1'], ['bid', '9', '1'], ['bid', '10', '2']),
        )
      },
    })
    const { source } = await openOn(t, coinbaseAdvanced, service, { markets: [BTC], channels: ['book'] })
    const reader = new BookReader()
    let taken = 0
    const readUntil = (what: string, enough: () => boolean) =>
      pull(source, what, (all) => {
        reader.take(all.slice(taken))
        taken = all.length
        return enough()
      }).then(() => {
        taken = 0
      })
    await readUntil('there is a book', () => reader.isValid('BTC-USD'))
    const update = speaker.book('update', ['bid', '10', '0'], ['offer', '10.5', '3'])
    // What comes again is passed over.
    service.send(update, update)
    await readUntil('it has changed', () => reader.of('BTC-USD')?.asks.length === 2)
    assert.deepEqual(reader.of('BTC-USD')?.bids, [[9, 1]])
    assert.deepEqual(reader.doubts, [])
    speaker.message('heartbeats', TS)
    service.send(speaker.book('update', ['bid', '9', '7']))
    await readUntil('the book is whole again', () => reader.doubts.length > 0 && reader.isValid('BTC-USD'))
    assert.deepEqual(reader.doubts, ['BTC-USD disconnected'])
    assert.deepEqual(reader.of('BTC-USD')?.bids, [
      [10, 2],
      [9, 1],
    ])
    assert.equal(service.upgrades.length, 2)
  })

  test(`random frames throw nothing (seed ${SEED})`, () => {
    const trade = { ...BTC, id: '1', side: 'buy' as const, price: 1, size: 1, ts: TS }
    const speaker = new Speaker()
    const frames = [
      speaker.line(trade),
      speaker.line({ ...BTC, ts: TS, ticker: { bid: 1, ask: 2, last: 1 } }),
    ]
    const texts = [...frames, speaker.book('snapshot', ['bid', '1', '1'])].map((frame) =>
      JSON.stringify(frame),
    )
    const wire = createCoinbaseAdvancedWire()
    const value = fc.oneof(
      fc.json({ maxDepth: 3 }),
      fc.constantFrom('null', '[]', '{}', '[null]', '1e400', '""'),
    )
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.nat(400), value, (text, at, json) => {
        // A value in place of what stands behind some colon, a cut, or anything.
        const colon = text.indexOf(':', at)
        const changed = text.slice(0, colon + 1) + json + text.slice(text.indexOf(',', colon))
        for (const each of [changed, text.slice(0, at), json])
          for (const { kind } of wire.read(each)) assert.equal(typeof kind, 'string')
      }),
      { numRuns: 10_000, seed: SEED },
    )
  })
})
