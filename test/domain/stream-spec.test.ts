import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { EVENT_FIELDS } from '../../src/domain/event-fields.ts'
import { canonicalSymbol, parseMarket } from '../../src/domain/market-names.ts'
import { matchesMarket, RoutingTable } from '../../src/domain/routing.ts'
import { parseStreamRequest, type StreamSpec, specKey } from '../../src/domain/stream-spec.ts'
import { TapelineError } from '../../src/errors.ts'
import { SEED } from '../seed.ts'

describe('stream specs', () => {
  test('equal requests have one canonical form', () => {
    const one = parseStreamRequest(
      {
        channel: 'trade',
        symbols: ['btc-usd', 'ETH-*', 'BTC-USD'],
        exchanges: ['Kraken'],
      },
      0,
    )
    const other = parseStreamRequest(
      {
        channel: 'trade',
        symbols: ['ETH-**', 'BTC-USD'],
        exchanges: ['kraken', 'KRAKEN'],
      },
      0,
    )
    assert.equal(specKey(one.spec), specKey(other.spec))
    assert.deepEqual(parseStreamRequest({ channel: 'quote', symbols: ['A-B', '*'] }, 0).spec.symbols, ['*'])
  })

  test('filters and fields that are written differently are one where they mean the same', () => {
    const ask = (request: object) =>
      parseStreamRequest({ channel: 'trade', symbols: ['*'], ...request }, 0).spec
    const key = (request: object): string => specKey(ask(request))
    assert.equal(
      key({ where: "side=='buy'&&(size>=.5e0)".replace('.5', '0.5') }),
      key({ where: 'side == "buy" && size >= 0.5' }),
    )
    assert.equal(key({ fields: ['ts', 'price', 'price'] }), key({ fields: ['price'] }))
    assert.deepEqual(ask({ fields: ['size', 'price'] }).fields, ['exchange', 'symbol', 'price', 'size', 'ts'])
    assert.equal(key({ fields: Object.keys(EVENT_FIELDS.trade) }), key({}), 'all fields are no choice')
    assert.notEqual(key({ where: 'size >= 1' }), key({ where: 'size > 1' }))
    assert.notEqual(key({ where: 'size >= 1' }), key({}))
  })

  test('windows that are written differently are one where they mean the same', () => {
    const ask = (request: object) =>
      parseStreamRequest({ channel: 'trade', symbols: ['*'], ...request }, 0).spec
    const key = (request: object): string => specKey(ask(request))
    assert.equal(key({ every: '1000ms' }), key({ every: 1, lateness: '250ms' }))
    assert.equal(
      key({ interval: '1m', lateness: 2, empty: false }),
      key({ channel: 'candle', interval: '1m' }),
    )
    assert.deepEqual(ask({ every: 90 }), {
      ...{ channel: 'trade', symbols: ['*'], exchanges: [], every: '90s', lateness: '250ms' },
    })
    assert.notEqual(key({ interval: '1m' }), key({ interval: '1m', empty: true }))
    assert.notEqual(key({ every: '1s' }), key({ interval: '1s' }))
    assert.notEqual(key({ every: '1s' }), key({}))
    const levels = { channel: 'book', every: '1s' }
    assert.notEqual(key({ ...levels, depth: 5 }), key({ ...levels, depth: 6 }))
    assert.deepEqual(ask({ interval: '1m', fields: ['close'] }).fields, ['exchange', 'symbol', 'close', 'ts'])
  })

  test('windows that cannot be are refused field by field', () => {
    const refused: [object, string[]][] = [
      [{ every: '1s', interval: '1m' }, ['every']],
      [{ every: '10ms' }, ['every']],
      [{ every: 'soon' }, ['every']],
      [{ channel: 'book', every: '1s' }, ['every']],
      [{ channel: 'book', depth: 5 }, ['depth']],
      [{ channel: 'quote', every: '1s', depth: 5 }, ['depth']],
      [{ channel: 'book', every: '1s', depth: 0 }, ['depth']],
      [{ channel: 'book', where: 'seq > 1' }, ['where']],
      [{ channel: 'quote', interval: '1m' }, ['interval']],
      [{ interval: '7m' }, ['interval']],
      [{ lateness: '1s' }, ['lateness']],
      [{ every: '1s', lateness: '1h' }, ['lateness']],
      [{ every: '1s', empty: true }, ['empty']],
      [{ interval: '1m', fields: ['side'] }, ['fields.0']],
    ]
    for (const [request, fields] of refused) {
      const ask = () => parseStreamRequest({ channel: 'trade', symbols: ['*'], ...request }, 0)
      assert.throws(ask, (error: unknown) => {
        assert.ok(error instanceof TapelineError)
        assert.deepEqual(
          error.fields.map(({ field }) => field),
          fields,
        )
        assert.ok(error.fields.every(({ remedy }) => remedy.length > 0))
        return true
      })
    }
  })

  test('a mistake in a filter says where it is', () => {
    const ask = () =>
      parseStreamRequest({ channel: 'trade', symbols: ['*'], where: 'size > 1 && sides == "buy"' }, 0)
    assert.throws(ask, (error: unknown) => {
      assert.ok(error instanceof TapelineError)
      const [{ field, message, position, remedy } = assert.fail()] = error.fields
      assert.deepEqual([field, position], ['where', 13])
      assert.equal(message, 'at character 13: sides is not a field of this channel')
      assert.match(remedy, /side, price, size/)
      return true
    })
  })

  test('the time to live has a default, takes seconds and text, and 0 means for ever', () => {
    const ttl = (value?: unknown) =>
      parseStreamRequest({ channel: 'trade', symbols: ['*'], ttl: value }, 0).ttlMs
    assert.deepEqual([ttl(), ttl(60), ttl('10m'), ttl(0), ttl('0')], [3_600_000, 60_000, 600_000, 0, 0])
  })

  test('a stream begins with what comes next, at a time, so long ago, or with all that there is', () => {
    const from = (value?: unknown) =>
      parseStreamRequest({ channel: 'trade', symbols: ['*'], from: value }, 1_700_000_000_000).from
    assert.deepEqual([from(), from('live'), from('earliest')], [undefined, undefined, 'earliest'])
    assert.deepEqual([from('-10m'), from('10m')], [1_699_999_400_000, 1_699_999_400_000])
    assert.deepEqual(
      [from('2023-11-14T22:13:00Z'), from(1_699_999_980)],
      [1_699_999_980_000, 1_699_999_980_000],
    )
  })

  test('each bad request names its field, with a remedy', () => {
    const good = { channel: 'trade', symbols: ['*'] }
    const bad: [string, unknown][] = [
      ['(body)', null],
      ['(body)', 'text'],
      ['(body)', []],
      ['channel', { symbols: ['*'] }],
      ['channel', { ...good, channel: 'trades' }],
      ['symbols', { channel: 'trade' }],
      ['symbols', { ...good, symbols: [] }],
      ['symbols', { ...good, symbols: 'BTC-USD' }],
      ['symbols.0', { ...good, symbols: ['BTC USD'] }],
      ['symbols.1', { ...good, symbols: ['*', 5] }],
      ['exchanges.0', { ...good, exchanges: [''] }],
      ['ttl', { ...good, ttl: -1 }],
      ['ttl', { ...good, ttl: 'soon' }],
      ['ttl', { ...good, ttl: 1 }],
      ['where', { ...good, where: 'bid > 1' }],
      ['where', { ...good, where: 'size' }],
      ['where', { ...good, where: '' }],
      ['where', { ...good, where: 1 }],
      ['where', { ...good, where: `side == "${'x'.repeat(1024)}"` }],
      ['fields', { ...good, fields: [] }],
      ['fields', { ...good, fields: 'price' }],
      ['fields.1', { ...good, fields: ['price', 'bid'] }],
      ['fields.0', { ...good, fields: ['constructor'], where: 'size > 1' }],
      ['from', { ...good, from: 'soon' }],
      ['from', { ...good, from: '' }],
      ['from', { ...good, from: -5 }],
      ['from', { ...good, from: '2100-01-01' }],
      ['from', { ...good, from: null }],
      ['nonsense', { ...good, nonsense: 1 }],
    ]
    for (const [field, request] of bad) {
      assert.throws(
        () => parseStreamRequest(request, 0),
        (error: unknown) => {
          assert.ok(error instanceof TapelineError)
          assert.equal(error.code, 'INPUT_INVALID')
          const named = error.fields.find((each) => each.field === field)
          assert.ok(named, `${field} in ${JSON.stringify(error.fields)}`)
          assert.ok(named.remedy.length > 10)
          return true
        },
      )
    }
  })
})

const spec = (symbols: string[], exchanges: string[] = []): StreamSpec => ({
  channel: 'trade',
  symbols,
  exchanges,
})

describe('names of markets', () => {
  test('a symbol has letters and digits of any script and the signs of exchanges, in upper case', () => {
    for (const [given, symbol] of [
      ['$pac-usd', '$PAC-USD'],
      ['DEFI++-USD', 'DEFI++-USD'],
      ['币-usd', '币-USD'],
      ['mon!_usdt', 'MON!_USDT'],
      ['BTCF0:USTF0', 'BTCF0:USTF0'],
      ['𝒳-USD', '𝒳-USD'],
      ['X'.repeat(64), 'X'.repeat(64)],
    ] as const) {
      assert.equal(canonicalSymbol(given), symbol)
      assert.deepEqual(parseMarket(`Coinbase:${given}`), { exchange: 'coinbase', symbol })
      assert.deepEqual(parseStreamRequest({ channel: 'trade', symbols: [given] }, 0).spec.symbols, [symbol])
    }
  })

  test('what nobody could ask for again is no symbol', () => {
    const unseen = ['A\u200bB', 'A\u202eB', 'A\0B', 'A\ud800', 'A B', 'A,B', "A'B", 'A"B']
    for (const text of ['', '-', '...', 'X'.repeat(65), 'BTC-*', ...unseen])
      assert.equal(canonicalSymbol(text), undefined, JSON.stringify(text))
  })

  test('letters that fall together with others in upper case are refused', () => {
    for (const text of ['STRAßE-USD', 'ıX-USD', 'ſX-USD', 'ﬁX-USD'])
      assert.equal(canonicalSymbol(text), undefined, text)
  })
})

describe('routing', () => {
  test('globs match as written', () => {
    const cases: [string, string, boolean][] = [
      ['BTC-*', 'BTC-USD', true],
      ['BTC-*', 'WBTC-USD', false],
      ['*-USD', 'BTC-USD', true],
      ['*-USD', 'BTC-USDT', false],
      ['*', 'X', true],
      ['B*-*D', 'BTC-USD', true],
      ['B*B', 'B', false],
      ['BTC-USD', 'BTC-USDT', false],
    ]
    for (const [glob, symbol, matches] of cases) {
      assert.equal(matchesMarket(spec([glob]), 'trade', 'x', symbol), matches, `${glob} on ${symbol}`)
    }
    assert.equal(matchesMarket(spec(['*'], ['kraken']), 'trade', 'coinbase', 'A-B'), false)
    assert.equal(matchesMarket(spec(['*']), 'quote', 'coinbase', 'A-B'), false)
  })

  test(`a table that changes answers as one made anew (seed ${SEED})`, () => {
    const glob = fc.constantFrom('*', 'BTC-*', '*-USD', 'ETH-USD', 'BTC-EUR')
    const change = fc.oneof(
      fc.record({
        id: fc.integer({ min: 0, max: 5 }),
        symbols: fc.array(glob, { minLength: 1, maxLength: 2 }),
      }),
      fc.record({ id: fc.integer({ min: 0, max: 5 }), symbols: fc.constant(undefined) }),
    )
    const symbols = ['BTC-USD', 'BTC-EUR', 'ETH-USD', 'SOL-GBP']
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const table = new RoutingTable<{ spec: StreamSpec }>()
        const plain = new Map<string, { spec: StreamSpec }>()
        for (const { id, symbols: wanted } of changes) {
          const route = wanted && { spec: spec(wanted) }
          if (route) table.set(`${id}`, route)
          else table.delete(`${id}`)
          if (route) plain.set(`${id}`, route)
          else plain.delete(`${id}`)
          for (const symbol of symbols) {
            const expected = [...plain.values()].filter((each) =>
              matchesMarket(each.spec, 'trade', 'x', symbol),
            )
            assert.deepEqual(new Set(table.match('trade', 'x', symbol)), new Set(expected))
          }
        }
      }),
      { seed: SEED },
    )
  })
})
