import { binaryFrame, jsonFrame, textFrame } from './frame.ts'
import type { Random } from './random.ts'

/** Frames that look like the protocol and are not: each one is wrong in a field that a trade cannot do without. */
const WRONG_TYPES: readonly object[] = [
  {},
  [],
  [null, 'TYPE', 0],
  { TYPE: null },
  { TYPE: {} },
  { TYPE: '0' },
  { TYPE: '0', M: 7, FSYM: 'BTC', TSYM: 'USD', F: '1', ID: '1', TS: 1, Q: 1, P: 1 },
  { TYPE: '0', M: 'Coinbase', FSYM: 'BTC', TSYM: 'USD', F: '1', ID: '1', TS: 'yesterday', Q: 1, P: 1 },
  { TYPE: '0', M: 'Coinbase', FSYM: 'BTC', TSYM: 'USD', F: '1', ID: '1', TS: 1753190418, Q: {}, P: 1 },
  { TYPE: '0', M: 'Coinbase', FSYM: 'BTC', TSYM: 'USD', F: '1', ID: '1', TS: 1753190418, Q: 1, P: 'many' },
  { TYPE: '0', M: 'Coinbase', FSYM: null, TSYM: ['USD'], F: '1', ID: '1', TS: 1753190418, Q: 1, P: 1 },
  { TYPE: '2', MARKET: ['Coinbase'], FROMSYMBOL: 'BTC', TOSYMBOL: 'USD', FLAGS: 1, PRICE: 1 },
  { TYPE: '2', MARKET: 'Coinbase', FROMSYMBOL: 'BTC', TOSYMBOL: 'USD', FLAGS: 'up', PRICE: 'much' },
  { TYPE: '24', MARKET: 'Coinbase', FROMSYMBOL: 'BTC', TOSYMBOL: 'USD', TS: 'now', UNIT: 'm', OPEN: null },
  { TYPE: '31337', MESSAGE: 'WHATEVER' },
  { TYPE: '500', MESSAGE: 'INTERNAL_ERROR', INFO: 'Something went wrong.' },
]

const BROKEN_TEXT = [
  '',
  '{',
  'null',
  'NaN',
  '42',
  '"TYPE"',
  '<html><body>502 Bad Gateway</body></html>',
  '{"TYPE":"0","M":"Coinbase","FSYM":"BTC","TSYM":"USD","F":"1","ID":"8527',
  '{"TYPE":"0","M":"Coinbase","FSYM":"BTC","TSYM":"USD","F":"1","ID":"1","TS":1753190418,"Q":1e999,"P":1}',
  '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[',
] as const

/**
 * One frame that is none of the protocol: random bytes, broken JSON, wrong types, empty objects. Random bytes come as
 * binary frames, since a text frame that is not UTF-8 ends a connection by the WebSocket protocol itself.
 */
export function garbageFrame(random: Random): string {
  const kind = random()
  if (kind < 0.25) {
    const length = 1 + Math.floor(random() * 300)
    return binaryFrame(Array.from({ length }, () => String.fromCharCode(Math.floor(random() * 256))).join(''))
  }
  if (kind < 0.6) return textFrame(oneOf(BROKEN_TEXT, random))
  return jsonFrame(oneOf(WRONG_TYPES, random))
}

function oneOf<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)] as T
}
