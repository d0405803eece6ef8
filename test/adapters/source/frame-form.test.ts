import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { SOURCES } from '../../../src/adapters/source/index.ts'
import { SEED } from '../../seed.ts'

/** Frames as the exchanges send them, of those kinds that are read without a parser. */
const FRAMES = [
  [
    'binance',
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1790000000123456,"s":"BTCUSDT","t":5012345678,"p":"64000.10000000","q":"0.00150000","T":1790000000122456,"m":true,"M":true}}',
  ],
  [
    'binance',
    '{"stream":"nknusdt@bookTicker","data":{"u":499869768,"s":"NKNUSDT","b":"0.35210000","B":"672.00000000","a":"0.35260000","A":"3199.00000000"}}',
  ],
  [
    'okx',
    '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"1040968613","px":"64040.2","sz":"0.0024","side":"buy","ts":"1786538760218","count":"2","source":"0","seqId":79706765242}]}',
  ],
  [
    'bybit',
    '{"topic":"publicTrade.BTCUSDT","ts":1786538700834,"type":"snapshot","data":[{"i":"2290000001190010739","T":1786538700833,"p":"64104.5","v":"0.00325","S":"Sell","seq":112571834644,"s":"BTCUSDT","BT":false,"RPI":false}]}',
  ],
  [
    'kraken',
    '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":64000.1,"qty":0.00150000,"ord_type":"limit","trade_id":71234567,"timestamp":"2026-11-29T10:00:00.123456Z"}]}',
  ],
  [
    'kraken',
    '{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[{"price":85601.6,"qty":0},{"price":85608,"qty":0.04358176}],"checksum":3973935795,"timestamp":"2026-10-06T08:04:56.153890Z"}]}',
  ],
] as const

/** What a wire of its own makes of a frame: a form gives the digits of a number where the parser gives the number. */
async function itemsOf(exchange: (typeof FRAMES)[number][0], text: string): Promise<string> {
  const wire = await SOURCES[exchange].loadWire?.()
  return JSON.stringify(wire?.read(text), (_, value) => (typeof value === 'number' ? String(value) : value))
}

/** A blank before it makes it a frame of no form. */
const parsed = (exchange: (typeof FRAMES)[number][0], text: string) => itemsOf(exchange, ` ${text}`)

describe('frames of a usual form', () => {
  test('numbers that a double does not keep go to the parser', async () => {
    const [kraken, trade] = FRAMES[4]
    for (const digits of ['9007199254740993', '12345678901234567', '0.12345678901234567']) {
      const text = trade.replace('0.00150000', digits)
      const read = await itemsOf(kraken, text)
      assert.ok(read.includes(`"${digits}"`), read)
      assert.equal(read, await parsed(kraken, text))
    }
  })

  for (const [exchange, text] of FRAMES) {
    const kind = `${exchange}: ${text.slice(0, 60)}`
    test(`${kind}: no parser is asked`, async (t) => {
      const expected = await parsed(exchange, text)
      assert.ok(!expected.includes('malformed'))
      const parse = t.mock.method(JSON, 'parse')
      const read = await itemsOf(exchange, text)
      assert.equal(parse.mock.callCount(), 0)
      assert.equal(read, expected)
    })

    test(`${kind}: with any change it says what a parser says of it (seed ${SEED})`, async () => {
      const place = fc.nat(text.length - 1)
      const by = fc.oneof(fc.constantFrom(...'0123456789.-"\\,:{}[]e+ ', ''), fc.string({ maxLength: 2 }))
      await fc.assert(
        fc.asyncProperty(place, fc.nat(2), by, async (at, gone, piece) => {
          const changed = text.slice(0, at) + piece + text.slice(at + gone)
          assert.equal(await itemsOf(exchange, changed), await parsed(exchange, changed))
        }),
        { seed: SEED, numRuns: 3_000 },
      )
    })
  }
})
