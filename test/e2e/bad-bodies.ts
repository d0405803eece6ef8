const GOOD = { channel: 'trade', symbols: ['BTC-*'] }
/** A good request with some fields changed, as JSON. */
export const body = (fields: object): string => JSON.stringify({ ...GOOD, ...fields })

/** Bodies that ask for nothing, with the code and the field that the answer must name. */
export const BAD_BODIES: readonly (readonly [
  what: string,
  text: string | Uint8Array,
  code: string,
  field?: string,
])[] = [
  ['nothing', '', 'INPUT_INVALID', '(body)'],
  ['half a document', '{"channel":', 'BODY_NOT_JSON'],
  ['bytes that are no UTF-8', Uint8Array.from([0x22, 0xff, 0xfe, 0x22]), 'BODY_NOT_JSON'],
  [
    'a key that stands twice',
    '{"channel":"trade","channel":"quote","symbols":["*"]}',
    'INPUT_INVALID',
    'channel',
  ],
  ['a prototype', '{"channel":"trade","symbols":["*"],"__proto__":{"ttl":5}}', 'INPUT_INVALID', '__proto__'],
  ['deep nesting', `${'['.repeat(50)}${']'.repeat(50)}`, 'INPUT_INVALID', Array(16).fill(0).join('.')],
  ['more than 64 KiB', body({ symbols: ['A'.repeat(70_000)] }), 'BODY_TOO_LARGE'],
  ['null', 'null', 'INPUT_INVALID', '(body)'],
  ['a number', '7', 'INPUT_INVALID', '(body)'],
  ['a list', '[]', 'INPUT_INVALID', '(body)'],
  ['an empty object', '{}', 'INPUT_INVALID', 'channel'],
  ['no symbols', '{"channel":"trade"}', 'INPUT_INVALID', 'symbols'],
  ['an unknown channel', body({ channel: 'trades' }), 'INPUT_INVALID', 'channel'],
  ['a channel that is a list', body({ channel: ['trade'] }), 'INPUT_INVALID', 'channel'],
  ['symbols that are a text', body({ symbols: 'BTC-USD' }), 'INPUT_INVALID', 'symbols'],
  ['an empty list of symbols', body({ symbols: [] }), 'INPUT_INVALID', 'symbols'],
  [
    'too many symbols',
    body({ symbols: Array.from({ length: 501 }, (_, i) => `A${i}`) }),
    'INPUT_INVALID',
    'symbols',
  ],
  ['a symbol that is a number', body({ symbols: ['BTC-USD', 1] }), 'INPUT_INVALID', 'symbols.1'],
  ['an empty symbol', body({ symbols: [''] }), 'INPUT_INVALID', 'symbols.0'],
  ['a symbol with a blank', body({ symbols: ['BTC USD'] }), 'INPUT_INVALID', 'symbols.0'],
  ['a symbol of 65 letters', body({ symbols: ['A'.repeat(65)] }), 'INPUT_INVALID', 'symbols.0'],
  ['exchanges that are a text', body({ exchanges: 'kraken' }), 'INPUT_INVALID', 'exchanges'],
  ['an exchange that is none', body({ exchanges: ['kra ken'] }), 'INPUT_INVALID', 'exchanges.0'],
  ['a negative ttl', body({ ttl: -1 }), 'INPUT_INVALID', 'ttl'],
  ['a ttl under five seconds', body({ ttl: 1 }), 'INPUT_INVALID', 'ttl'],
  ['a ttl that is no duration', body({ ttl: 'a while' }), 'INPUT_INVALID', 'ttl'],
  ['a ttl that is null', body({ ttl: null }), 'INPUT_INVALID', 'ttl'],
  ['an unknown field', body({ symbol: 'BTC-USD' }), 'INPUT_INVALID', 'symbol'],
  ['a filter that is no yes or no', body({ where: 'size + 1' }), 'INPUT_INVALID', 'where'],
  ['a field that no trade has', body({ fields: ['bid'] }), 'INPUT_INVALID', 'fields.0'],
  ['an interval that is none', body({ interval: '7m' }), 'INPUT_INVALID', 'interval'],
]
