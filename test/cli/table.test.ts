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

  test('control characters in data reach no terminal', () => {
    const table = formatTable(['a\u001b[31m'], [['line\nfeed'], ['\u009bm']])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be missing
    assert.doesNotMatch(table.replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f]/)
    assert.equal(table.split('\n').length, 4)
  })
})
