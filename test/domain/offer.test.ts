import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Offer, warningsOf } from '../../src/domain/offer.ts'
import { parseStreamRequest } from '../../src/domain/stream-spec.ts'

const OFFER: Offer = {
  channels: ['trade', 'quote', 'status'],
  markets: ['coinbase:BTC-USD', 'coinbase:ETH-USD', 'kraken:BTC-EUR', 'kraken:BTC-USD', 'kraken:SOL-USD'],
}

function warned(request: object, offers: readonly (Offer | undefined)[] = [OFFER]) {
  const { spec } = parseStreamRequest({ channel: 'trade', symbols: ['*'], ...request }, 0)
  return warningsOf(spec, offers).map(({ field, value, near }) => [field, value, near.join(' ')])
}

test('what is given has no warning', () => {
  for (const request of [
    {},
    { symbols: ['BTC-*', 'eth-usd'] },
    { symbols: ['*-EUR'], exchanges: ['kraken'] },
    { channel: 'quote', exchanges: ['coinbase'] },
    { channel: 'status', symbols: ['NOTHING-*'], exchanges: ['nowhere'] },
  ])
    assert.deepEqual(warned(request), [], JSON.stringify(request))
})

test('a channel that no source gives, and a word on what is given', () => {
  assert.deepEqual(warned({ channel: 'book' }), [['channel', 'book', '']])
  const { spec } = parseStreamRequest({ channel: 'candle', symbols: ['*'] }, 0)
  assert.match(warningsOf(spec, [OFFER])[0]?.message ?? '', /quote, status, trade/)
  assert.deepEqual(warned({ channel: 'candle' }, [OFFER, { channels: ['candle'], markets: [] }]), [])
})

test('an exchange or a market that nobody has, with what it is near to', () => {
  assert.deepEqual(warned({ exchanges: ['coinbse', 'kraken'] }), [['exchanges', 'coinbse', 'coinbase']])
  assert.deepEqual(warned({ symbols: ['BCT-USD'] }), [['symbols', 'BCT-USD', 'BTC-USD']])
  assert.deepEqual(warned({ symbols: ['BTC-USD', 'DOGE-GBP'] }), [['symbols', 'DOGE-GBP', '']])
  assert.deepEqual(warned({ symbols: ['BCT-*'] }), [['symbols', 'BCT-*', 'BTC-*']])
  assert.deepEqual(warned({ symbols: ['*-USX'] }), [['symbols', '*-USX', '*-USD']])
  assert.deepEqual(
    warned({ symbols: ['SOL-USDT'], exchanges: ['krakn'] }).map(([field]) => field),
    ['exchanges', 'symbols'],
  )
})

test('a market that another exchange than those asked for has', () => {
  const { spec } = parseStreamRequest({ channel: 'trade', symbols: ['SOL-USD'], exchanges: ['coinbase'] }, 0)
  const [warning, ...more] = warningsOf(spec, [OFFER])
  assert.deepEqual(more, [])
  assert.match(warning?.message ?? '', /kraken/)
})

test('what nobody knows is no warning; that no producer is there, is one', () => {
  const unknown = { channel: 'book', symbols: ['X-Y'], exchanges: ['z'] }
  assert.deepEqual(warned(unknown, [OFFER, undefined]), [])
  assert.deepEqual(warned({ symbols: ['X-Y'] }, [{ channels: ['trade'] }]), [], 'markets are not named')
  assert.deepEqual(warned({}, []), [['channel', 'trade', '']])
})

test('hundreds of names that nobody has, among thousands of markets, hold nobody up', () => {
  const bases = Array.from({ length: 5_000 }, (_, i) => `A${i}`)
  const markets = ['okx', 'kraken', 'binance'].flatMap((name) => bases.map((base) => `${name}:${base}-USD`))
  for (const length of [10, 60]) {
    const symbols = Array.from({ length: 500 }, (_, i) => `${String(i).padStart(length, 'Q')}-EUR`)
    assert.equal(warned({ symbols }, [{ channels: ['trade'], markets }]).length, 20)
  }
  const misspelt = { symbols: ['QQQ-1', 'A77-USX', 'A4999USD', '4A99-USD', '*-USX'] }
  const near = new Map(
    warned(misspelt, [{ channels: ['trade'], markets }]).map(([, symbol, names]) => [symbol, names]),
  )
  assert.equal(near.get('QQQ-1'), '')
  assert.match(near.get('A77-USX') ?? '', /\bA77-USD\b/)
  assert.match(near.get('A4999USD') ?? '', /\bA4999-USD\b/)
  assert.match(near.get('4A99-USD') ?? '', /\bA499-USD\b/)
  assert.equal(near.get('*-USX'), '*-USD')
})

test('many unknown names are told in part', () => {
  const symbols = Array.from({ length: 300 }, (_, i) => `X${i}-USD`)
  assert.equal(warned({ symbols }).length, 20)
})
