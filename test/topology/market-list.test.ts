import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TapelineError } from '../../src/errors.ts'
import type { Instrument, Market } from '../../src/ports/source.ts'
import { createMarketList } from '../../src/topology/market-list.ts'
import { recordingLog } from '../adapters/source/waiting.ts'
import { until } from '../contract/broker-fixtures.ts'
import { quietLog } from '../quiet.ts'

const listed = (symbol: string, isTrading = true): Instrument => {
  const [base = '', quote = ''] = symbol.split('-')
  return { exchange: 'okx', symbol, name: symbol, base, quote, tick: null, lot: null, isTrading }
}

const symbolsOf = (markets: readonly Market[]) => markets.map(({ symbol }) => symbol).toSorted()

test('globs follow what the exchange lists, markets by name are always there', async (t) => {
  let listings = [listed('BTC-USDT'), listed('ETH-USDT'), listed('OLD-USDT', false), listed('BTC-EUR')]
  let failures = 0
  const list = createMarketList({
    wanted: [
      { exchange: 'okx', symbol: '*-USDT' },
      { exchange: 'okx', symbol: 'SOL-EUR' },
      { exchange: 'okx', symbol: 'ETH-USDT' },
    ],
    list: async () => {
      if (failures-- > 0) throw new TapelineError('SOURCE_UNAVAILABLE', 'not now')
      return listings
    },
    everyMs: 5,
    log: quietLog,
  })
  assert.deepEqual(symbolsOf(list.current()), ['ETH-USDT', 'SOL-EUR'])
  const told: (readonly [string[], string[]])[] = []
  const heard: string[][] = []
  const stop = list.follow({
    changed: (added, gone) => told.push([symbolsOf(added), symbolsOf(gone)]),
    listed: (instruments) => heard.push(symbolsOf(instruments)),
  })
  t.after(stop)
  await until('the first look', () => told.length === 1)
  assert.deepEqual(told[0], [['BTC-USDT'], []])
  assert.deepEqual(heard[0], ['BTC-EUR', 'BTC-USDT', 'ETH-USDT', 'OLD-USDT'], 'all that is listed')
  assert.deepEqual(symbolsOf(list.current()), ['BTC-USDT', 'ETH-USDT', 'SOL-EUR'])
  assert.equal(list.has({ exchange: 'okx', symbol: 'NEW-USDT' }), true)
  assert.equal(list.has({ exchange: 'okx', symbol: 'NEW-EUR' }), false)
  assert.equal(list.has({ exchange: 'kraken', symbol: 'NEW-USDT' }), false)

  listings = [listed('BTC-USDT', false), listed('NEW-USDT')]
  await until('a listing and a delisting', () => told.length === 2)
  assert.deepEqual(told[1], [['NEW-USDT'], ['BTC-USDT']])
  // The one that is named is asked for, whatever the list says.
  assert.deepEqual(symbolsOf(list.current()), ['ETH-USDT', 'NEW-USDT', 'SOL-EUR'])

  failures = 1
  await until('a look that failed', () => failures < 0)
  assert.equal(told.length, 2, 'what is known goes on')
})

test('the log names a market by name that the exchange does not list, once for as long as that lasts', async (t) => {
  const log = recordingLog()
  let listings = [listed('BTC-USDT'), listed('OLD-USDT', false)]
  const wanted = ['BTC-USDT', 'OLD-USDT', 'NONE-USDT'].map((symbol) => ({ exchange: 'okx', symbol }))
  const list = createMarketList({ wanted, list: async () => listings, everyMs: 5, log })
  let looks = 0
  t.after(list.follow({ changed: () => undefined, listed: () => looks++ }))
  const unlisted = () => log.lines.flatMap(({ fields }) => ('symbol' in fields ? [fields.symbol] : []))
  await until('three looks', () => looks > 2)
  assert.deepEqual(unlisted(), ['NONE-USDT'])
  listings = [listed('BTC-USDT'), listed('NONE-USDT')]
  await until('OLD-USDT is gone', () => unlisted().length > 1)
  listings = []
  await until('they are all gone', () => unlisted().length > 3)
  assert.deepEqual(unlisted(), ['NONE-USDT', 'OLD-USDT', 'BTC-USDT', 'NONE-USDT'])
})

test('of several listings under one symbol one counts, and the log names the others', async (t) => {
  const lines: object[] = []
  const log = { ...quietLog, warn: (fields: object) => lines.push(fields) }
  const called = (symbol: string, name: string, isTrading = true) => ({ ...listed(symbol, isTrading), name })
  const list = createMarketList({
    wanted: [{ exchange: 'okx', symbol: '*-USD' }],
    list: async () => [
      called('BTC-USD', 'OLD', false),
      called('BTC-USD', 'XBTUSD'),
      called('BTC-USD', 'BTCUSD'),
      called('ETH-USD', 'ETHUSD'),
    ],
    everyMs: 5,
    log,
  })
  const heard: string[][] = []
  const stop = list.follow({
    changed: () => undefined,
    listed: (instruments) => heard.push(instruments.map(({ name }) => name)),
  })
  t.after(stop)
  await until('it has looked again', () => heard.length > 1)
  assert.deepEqual(symbolsOf(list.current()), ['BTC-USD', 'ETH-USD'])
  assert.deepEqual(heard[0], ['XBTUSD', 'ETHUSD'])
  const twice = { exchange: 'okx', symbol: 'BTC-USD', name: 'XBTUSD', others: ['BTCUSD'] }
  assert.deepEqual(lines, [{ code: 'MARKET_AMBIGUOUS', ...twice }])
})
