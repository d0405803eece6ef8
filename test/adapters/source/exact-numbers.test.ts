import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { SOURCES } from '../../../src/adapters/source/index.ts'
import { decodeEvent, encodeEvent } from '../../../src/domain/event-codec.ts'
import type { Trade } from '../../../src/domain/events.ts'
import { DIALECTS, type SimulatedExchange } from '../../../src/simulator/exchanges/index.ts'
import { SEED } from '../../seed.ts'
import { openOn } from './opened.ts'
import { Service, sendFrame } from './service.ts'
import { eventsOf, pull } from './waiting.ts'

const NAMES = Object.keys(DIALECTS) as SimulatedExchange[]
const TS = 1_753_190_418_654_000
/** Stands in a frame for the digits that the test wants there. */
const [PRICE, SIZE] = [987.125, 321.375]

/** The steps of prices and sizes that exchanges have: from Shiba's to Bitcoin's. */
const DECIMALS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
/** What a double keeps: the largest price or size of a step has so many digits. */
const DIGITS = 15

interface Digits {
  readonly price: string
  readonly size: string
}

/** The trades that the source of an exchange makes of frames with these digits. */
async function read(t: TestContext, name: SimulatedExchange, sent: readonly Digits[]): Promise<Trade[]> {
  const { asks, answer, frame, nameOf } = DIALECTS[name]
  assert.ok(nameOf('BTC-USD'))
  let isSent = false
  const service = await Service.start(t, {
    received: (asked, socket) => {
      const request = asks(asked)
      for (const each of request ? answer(asked, []) : []) sendFrame(socket, each)
      if (request?.topics.some(({ channel }) => channel === 'trade') !== true || isSent) return
      isSent = true
      for (const [at, { price, size }] of sent.entries()) {
        const trade = { symbol: 'BTC-USD', id: String(at + 1), side: 'buy', price: PRICE, size: SIZE, ts: TS }
        const text = JSON.stringify(frame({ ...trade, side: 'buy' }))
        sendFrame(socket, text.replaceAll(String(PRICE), price).replaceAll(String(SIZE), size))
      }
    },
  })
  const { source } = await openOn(t, SOURCES[name], service, {
    markets: [{ exchange: name, symbol: 'BTC-USD' }],
    channels: ['trade'],
  })
  const items = await pull(source, 'all are read', (all) => eventsOf(all, 'trade').length >= sent.length)
  return eventsOf(items, 'trade')
}

/** The same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function decimalOf(digits: string, decimals: number): string {
  const padded = digits.padStart(decimals + 1, '0')
  return decimals === 0
    ? padded
    : `${padded.slice(0, padded.length - decimals)}.${padded.slice(padded.length - decimals)}`
}

for (const name of NAMES)
  describe(`numbers of ${SOURCES[name].title}`, () => {
    test(`no tick is lost, of the smallest price or the largest (seed ${SEED})`, async (t) => {
      const random = randomOf(SEED)
      const sent = DECIMALS.flatMap((decimals) =>
        Array.from({ length: 40 }, (_, at) => {
          const length = at === 0 ? 1 : 1 + Math.floor(random() * DIGITS)
          const digits = () =>
            at === 0
              ? '1'
              : Array.from({ length }, () => String(Math.floor(random() * 10)))
                  .join('')
                  .replace(/^0+/, '') || '7'
          return { decimals, price: decimalOf(digits(), decimals), size: decimalOf(digits(), decimals) }
        }),
      )
      const trades = await read(t, name, sent)
      for (const [at, { decimals, price, size }] of sent.entries()) {
        const trade = trades[at]
        assert.equal(trade?.price.toFixed(decimals), price)
        assert.equal(trade?.size.toFixed(decimals), size)
        assert.deepEqual([trade?.priceText, trade?.sizeText], [undefined, undefined], price)
      }
    })

    test('digits that a double does not keep stand beside it, and come through the log', async (t) => {
      const sent = [
        { price: '123456789.123456789012', size: '1' },
        { price: '1', size: '0.12345678901234567891' },
        { price: '100000000000000000.5', size: '9007199254740993.5' },
        // The double has the value all the same.
        { price: '64000.10000000000000000', size: '000000000000000002.5' },
        { price: '9007199254740992.00', size: '0.50000000000000000000' },
      ]
      // A number of JSON has no zeros in front.
      const isNumber = ['kraken', 'bitfinex', 'bitstamp'].includes(name)
      const wanted = sent.map(({ price, size }) => ({
        price,
        size: isNumber ? size.replace(/^0+(?=\d)/, '') : size,
      }))
      const trades = await read(t, name, wanted)
      assert.deepEqual(
        trades.map(({ priceText, sizeText }) => [priceText, sizeText]),
        [
          ['123456789.123456789012', undefined],
          [undefined, '0.12345678901234567891'],
          ['100000000000000000.5', '9007199254740993.5'],
          [undefined, undefined],
          [undefined, undefined],
        ],
      )
      for (const trade of trades) assert.deepEqual(decodeEvent('trade', encodeEvent(trade), 1), trade)
      assert.equal(trades[0]?.price, 123456789.12345679)
    })
  })
