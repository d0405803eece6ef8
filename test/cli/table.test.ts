import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formatTable } from '../../src/cli/table.ts'

describe('a table as text', () => {
  test('columns are as wide as their widest cell, numbers stand to the right', () => {
    const table = formatTable(
      ['symbol', 'price', 'n'],
      [
        ['BTC-USD', '101.5', '3'],
        ['X', '-2e-7', 'null'],
      ],
    )
    assert.deepEqual(table.split('\n'), [
      'symbol   price     n',
      '-------  -----  ----',
      'BTC-USD  101.5     3',
      'X        -2e-7  null',
    ])
  })

  test('an answer without rows still shows its columns', () => {
    assert.equal(formatTable(['a', 'bc'], []), 'a  bc\n-  --')
  })

  test('what nobody sees is shown escaped, and counts as wide as it is shown', () => {
    const table = formatTable(
      ['id', 'n'],
      [
        ['\u202eabc\u200b', '1'],
        ['\u{e0041}\ufeff\u00ad\u2066', '2'],
        ['币-USD', '3'],
      ],
    )
    assert.deepEqual(table.split('\n').slice(2), [
      '\\u202eabc\\u200b                 1',
      '\\udb40\\udc41\\ufeff\\u00ad\\u2066  2',
      '币-USD                           3',
    ])
  })

  test('control characters in data reach no terminal', () => {
    const table = formatTable(['a\u001b[31m'], [['line\nfeed'], ['\u009bm']])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be missing
    assert.doesNotMatch(table.replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f]/)
    assert.equal(table.split('\n').length, 4)
  })
})
