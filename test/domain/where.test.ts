import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Environment } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import type { Book, Channel, EventOf, Quote, Trade } from '../../src/domain/events.ts'
import { parseWhere, type Where } from '../../src/domain/where.ts'
import { SEED } from '../seed.ts'

const trade: Trade = {
  ...{ exchange: 'coinbase', symbol: 'BTC-USD', id: '77', side: 'buy' },
  ...{ price: 100.5, size: 2, ts: 1_700_000_000_000_000, recvTs: 1_700_000_000_000_000 },
}
const quote: Quote = { exchange: 'kraken', symbol: 'ETH-USD', ask: 11, ts: 1, recvTs: 1 }
const book: Book = {
  ...{ exchange: 'kraken', symbol: 'ETH-USD', snapshot: true, seq: 1, ts: 1, recvTs: 1 },
  bids: [
    [10, 1],
    [9, 7],
  ],
  asks: [],
}

function where(channel: Channel, text: string): Where {
  const parsed = parseWhere(channel, text)
  if (!('accepts' in parsed)) assert.fail(`${text}: at ${parsed.position}: ${parsed.message}`)
  return parsed
}

function table(
  channel: Channel,
  event: EventOf[Channel],
  rows: readonly (readonly [string, boolean])[],
): void {
  for (const [text, expected] of rows) assert.equal(where(channel, text).accepts(event), expected, text)
}

describe('a filter', () => {
  test('compares fields with values, and joins comparisons', () => {
    table('trade', trade, [
      ['size >= 0.5 && side == "buy"', true],
      ['size == 2', true],
      ['size == 2.0', true],
      ['size != 2', false],
      ['price * size > 200 || side == "sell"', true],
      ['price - size - 1 == 97.5', true],
      ['price - (size - 1) == 99.5', true],
      ['7 / 2 == 3.5', true],
      ['-size < -1 && 7 % 4 == 3', true],
      ['!(side in ["sell", "unknown"])', true],
      ['id in []', false],
      ['exchange + ":" + symbol == "coinbase:BTC-USD"', true],
      ['symbol.startsWith("BTC-") && symbol.endsWith("-USD") && symbol.contains("C-U")', true],
      ['symbol < "C" && symbol >= "BTC"', true],
      ['size(id) == 2 && id.size() == 2 && double(id) == 77 && int(price) == 100', true],
      ['symbol.startsWith("BTC") ? size > 1 : size > 10', true],
      ['exchange.upperAscii() == "COINBASE" && symbol.lowerAscii() == "btc-usd"', true],
      ['(size > 1) == true', true],
      ['[1, 2, 3].exists(n, n == size)', true],
    ])
  })

  test('takes an event of which a value is missing only where the rest decides', () => {
    table('quote', quote, [
      ['bid > 1', false],
      ['!(bid > 1)', false],
      ['bid > 1 || ask > 10', true],
      ['ask > 10 || bid > 1', true],
      ['bid > 1 && ask > 10', false],
      ['!(bid > 1 && ask < 10)', true],
      ['bid == null', true],
      ['null != ask', true],
      ['has(bid)', false],
      ['has(ask) && !has(bid)', true],
      ['bid + 1 > 0', false],
      ['bid > 1 ? true : true', false],
      ['double(symbol) > 0', false],
    ])
    table('trade', trade, [
      ['!maybe', true],
      ['maybe', false],
    ])
    table('trade', { ...trade, maybe: true }, [['maybe', true]])
  })

  test('looks at the levels of a book', () => {
    table('book', book, [
      ['snapshot && bids[0][0] == 10', true],
      ['bids[5][0] > 0', false],
      ['asks[0][0] > 0', false],
      ['bids.exists(b, b[1] > 5)', true],
      ['bids.all(b, b[1] > 5)', false],
      ['bids.exists_one(b, b[1] > 5)', true],
      ['bids.filter(b, b[1] > 0).size() == 2 && size(asks) == 0', true],
      ['bids.map(b, b[0] * b[1]).exists(v, v == 63)', true],
      ['asks.all(a, a[0] > 1)', true],
    ])
  })

  test('looks at a bounded amount of text, however macros multiply it', () => {
    const tripled = (times: number) => '.map(t, t + t + t)'.repeat(times)
    const levels = Array.from({ length: 1_000 }, (): [number, number] => [1, 1])
    table('book', { ...book, bids: levels }, [
      [`[exchange]${tripled(6)}.exists(t, size(t) == 4374)`, true],
      [`[exchange]${tripled(8)}.exists(t, size(t) == 39366)`, false],
      [`bids.map(b, exchange)${tripled(2)}.all(t, size(t) == 54)`, false],
      ['bids.all(b, exchange.startsWith("kra"))', true],
      ['bids.all(b, b[1] == 1.0) && exchange == "kraken"', true],
    ])
  })

  test('reads text and numbers as CEL writes them', () => {
    table('trade', { ...trade, id: 'a"b\\c\u00e9' }, [
      ['id == "a\\"b\\\\c\\u00e9"', true],
      ["id == 'a\"b\\\\cé'", true],
      ["id == r'a\"b\\cé'", true],
      ['size > 1e-7 && 0x10 == 16', true],
      ['size > 1 // a comment', true],
    ])
  })

  for (const [text, position, message] of [
    ['', 1, 'unexpected token: EOF'],
    ['size >=', 8, 'unexpected token: EOF'],
    ['size >= "a', 9, 'unterminated string'],
    ['size', 1, 'gives a value, not yes or no'],
    ['size > 1 && bid > 2', 13, 'bid is not a field of this channel'],
    ['size > "1"', 1, '> compares number with text'],
    ['side == 1', 1, '== compares text with number'],
    ['!size', 2, '! takes a comparison, not number'],
    ['size && true', 1, '&& takes a comparison, not number'],
    ['true || size', 9, '|| takes a comparison, not number'],
    ['-side == "buy"', 2, '- takes a number, not text'],
    ['size ? true : false', 1, '? takes a comparison, not number'],
    ['(size > 1 ? 1 : "a") == 1', 17, ': gives text, and ? gives number'],
    ['size + "a" > 1', 1, '+ does not take number and text'],
    ['side in "buy"', 9, 'in takes a list, not text'],
    ['size in ["buy"]', 1, 'in looks for number in a list of text'],
    ['"x" in ["y", 1]', 14, 'a list of text has number'],
    ['maybe < true', 1, '< has no meaning for flag'],
    ['[1] == [1]', 1, '== does not compare lists'],
    ['id[0] == "7"', 1, 'text has no items'],
    ['[1]["a"] == 1', 5, 'an index is a number, not text'],
    ['id.matches("7+")', 1, 'matches() is refused: a pattern can hold everything up'],
    ['matches(id, "7+")', 1, 'matches() is refused: a pattern can hold everything up'],
    ['[1].all(a, [2].all(b, a == b))', 12, 'one macro within another is refused: it can hold everything up'],
    ['[1].all(size, size > 1)', 9, 'size is a field already'],
    ['[1].all(a)', 1, 'all takes a name and an expression'],
    ['[].exists(a, a > 1)', 14, 'the list is empty'],
    ['size.exists(a, a > 1)', 1, 'exists takes a list, not number'],
    ['[1].all(a, a)', 12, 'all takes a comparison, not number'],
    ['has(1)', 1, 'has() takes one field'],
    ['has(bid)', 5, 'bid is not a field of this channel'],
    ['id.startsWith(1)', 1, 'startsWith does not take text, number'],
    ['timestamp("2020-01-01T00:00:00Z") == ts', 1, 'there is no function timestamp'],
    ['constructor == 1', 1, 'constructor is not a field of this channel'],
    ['toString() == "a"', 1, 'there is no function toString'],
    ['id.constructor("a")', 1, 'there is no function constructor'],
    ['price.constructor == 1', 1, 'there is no field constructor here'],
    ['__proto__ == 1', 1, 'reserved identifier: __proto__'],
    ['id["__proto__"] == 1', 1, 'text has no items'],
    ['{"a": 1}.a == 1', 2, 'exceeded maxMapEntries (0)'],
    ['1u == 1u', 1, 'bytes and unsigned numbers are not supported'],
    ['9007199254740993 == size', 1, '9007199254740993 has more digits than a number holds'],
    ['\ud800 == id', 1, 'is not well-formed text'],
    [`${'('.repeat(600)}true${')'.repeat(400)}`, 25, 'exceeded maxDepth (24)'],
    [`${'!'.repeat(900)}true`, undefined, 'exceeded maxAstNodes (64)'],
    [`size in [${'1,'.repeat(40)}1]`, undefined, 'exceeded maxListElements (32)'],
    ['x'.repeat(1025), 1025, 'is longer than 1024 characters'],
    ['1 '.repeat(500_000), 1025, 'is longer than 1024 characters'],
  ] as const) {
    test(`with a mistake says what is wrong and where: ${text.slice(0, 40)}`, () => {
      const parsed = parseWhere('trade', text)
      assert.ok('message' in parsed, 'it was taken')
      assert.equal(parsed.message, message)
      if (position !== undefined) assert.equal(parsed.position, position)
      assert.ok(parsed.remedy.length > 5)
    })
  }

  for (const [one, other] of [
    ['size>=0.5&&side=="buy"', "(size >= 0.50) && (side == 'buy')"],
    ['size > 1 || size < 2 && side == "buy"', 'size > 1 || (size < 2 && side == "buy")'],
    ['size - 1 - 2 > 0', '((size - 1) - 2) > 0'],
    ['[1,2].exists( n ,n==size )', '[1, 2].exists(n, n == size)'],
    ['size > 10', 'size > 1e1'],
  ] as const) {
    test(`in other blanks, quotes and brackets is the same filter: ${one}`, () => {
      assert.equal(where('trade', one).text, where('trade', other).text)
    })
  }

  test('that takes something else is another filter', () => {
    const texts = [
      'size - (1 - 2) > 0',
      'size - 1 - 2 > 0',
      '(size > 1 || size < 2) && maybe',
      'size > 1 || size < 2 && maybe',
    ]
    assert.equal(new Set(texts.map((text) => where('trade', text).text)).size, texts.length)
  })
})

/** Expressions in the text of CEL, numbers as doubles: ones that CEL's own evaluation can answer. */
function expressions() {
  const number: fc.Arbitrary<string> = fc.oneof(
    fc.constantFrom('size', 'price', 'double(id)'),
    fc.integer({ min: 0, max: 200 }).map((value) => `${value / 2}`.padEnd(1).replace(/^(\d+)$/, '$1.0')),
  )
  const sum = fc.oneof(
    number,
    fc.tuple(number, fc.constantFrom('+', '-', '*'), number).map(([a, op, b]) => `(${a} ${op} ${b})`),
    number.map((value) => `(-${value})`),
  )
  const text = fc.oneof(fc.constantFrom('side', 'symbol', 'id', '"buy"', "'BTC-USD'", '"7"'))
  const { flag } = fc.letrec<{ flag: string }>((tie) => ({
    flag: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc
        .tuple(sum, fc.constantFrom('<', '<=', '>', '>=', '==', '!='), sum)
        .map(([a, op, b]) => `${a} ${op} ${b}`),
      fc.tuple(text, fc.constantFrom('==', '!=', '<', '>='), text).map(([a, op, b]) => `${a} ${op} ${b}`),
      fc
        .tuple(text, fc.constantFrom('startsWith', 'endsWith', 'contains'), text)
        .map(([a, f, b]) => `${a}.${f}(${b})`),
      fc.tuple(text, fc.array(text, { maxLength: 3 })).map(([a, list]) => `${a} in [${list}]`),
      tie('flag').map((a) => `!(${a})`),
      fc
        .tuple(tie('flag'), fc.constantFrom('&&', '||'), tie('flag'))
        .map(([a, op, b]) => `(${a}) ${op} (${b})`),
      fc.tuple(tie('flag'), tie('flag'), tie('flag')).map(([a, b, c]) => `(${a}) ? (${b}) : (${c})`),
    ),
  }))
  return flag
}

test(`random filters mean what CEL says they mean, and keep it in their canonical form (seed ${SEED})`, () => {
  const cel = new Environment()
  for (const name of ['price', 'size']) cel.registerVariable(name, 'double')
  for (const name of ['side', 'symbol', 'id']) cel.registerVariable(name, 'string')
  fc.assert(
    fc.property(expressions(), (text) => {
      const parsed = parseWhere('trade', text)
      // Only size is a reason to refuse what this makes.
      if (!('accepts' in parsed)) return assert.match(parsed.message, /^exceeded max|longer than/)
      const { side, symbol, id, price, size } = trade
      assert.equal(parsed.accepts(trade), cel.evaluate(text, { side, symbol, id, price, size }))
      const again = where('trade', parsed.text)
      assert.equal(again.text, parsed.text)
      assert.equal(again.accepts(trade), parsed.accepts(trade))
    }),
    { seed: SEED, numRuns: 500 },
  )
})

test(`no text is taken that gives anything but yes or no, and none throws (seed ${SEED})`, () => {
  const pieces = [
    'size',
    'bid',
    '"a"',
    '1',
    '0.5',
    '&&',
    '||',
    '==',
    '<',
    '(',
    ')',
    '[',
    ']',
    '.',
    ',',
    '!',
    '-',
    'in',
    '?',
    ':',
  ]
  const words = [
    'has',
    'all',
    'exists',
    'map',
    'size(',
    'constructor',
    '__proto__',
    'null',
    'true',
    '{',
    '}',
    '\\',
    "'",
    '\0',
  ]
  const text = fc
    .array(fc.constantFrom(...pieces, ...words), { maxLength: 30 })
    .map((parts) => parts.join(' '))
  fc.assert(
    fc.property(text, (given) => {
      const parsed = parseWhere('quote', given)
      if ('accepts' in parsed) assert.equal(typeof parsed.accepts(quote), 'boolean')
      else
        assert.ok(
          parsed.position >= 1 && parsed.position <= given.length + 1,
          `${parsed.position} of ${given}`,
        )
    }),
    { seed: SEED, numRuns: 2_000 },
  )
})
