import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { printTable } from '../../src/cli/table.ts'
import { recordingTerminal } from './recording-terminal.ts'

/** The lines of a table, on a terminal of a width or on none. */
async function tableOf(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  width?: number,
): Promise<readonly string[]> {
  const terminal = recordingTerminal()
  await printTable({ ...terminal, columns: width }, columns, rows, (row) => row)
  return terminal.printed
}

describe('a table as text', () => {
  test('columns are as wide as their widest cell, numbers stand to the right', async () => {
    const table = await tableOf(
      ['symbol', 'price', 'n'],
      [
        ['BTC-USD', '101.5', '3'],
        ['X', '-2e-7', 'null'],
      ],
    )
    assert.deepEqual(table, [
      'symbol   price     n',
      '-------  -----  ----',
      'BTC-USD  101.5     3',
      'X        -2e-7  null',
    ])
  })

  test('an answer without rows still shows its columns', async () => {
    assert.deepEqual(await tableOf(['a', 'bc'], []), ['a  bc', '-  --'])
  })

  test('what nobody sees is shown escaped, and counts as wide as it is shown', async () => {
    const table = await tableOf(
      ['id', 'n'],
      [
        ['\u202eabc\u200b', '1'],
        ['\u{e0041}\ufeff\u00ad\u2066', '2'],
        ['币-USD', '3'],
      ],
    )
    assert.deepEqual(table.slice(2), [
      '\\u202eabc\\u200b                 1',
      '\\udb40\\udc41\\ufeff\\u00ad\\u2066  2',
      '币-USD                           3',
    ])
  })

  test('control characters in data reach no terminal', async () => {
    const table = await tableOf(['a\u001b[31m'], [['line\nfeed'], ['\u009bm']])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be missing
    assert.doesNotMatch(table.join(''), /[\u0000-\u001f\u007f-\u009f]/)
    assert.equal(table.length, 4)
  })

  test('what is wider than the terminal is cut, the widest columns first, ids and numbers never', async () => {
    const id = '01m86a6sbcfhe5e44vf6cthhfb'
    const wide = await tableOf(
      ['ID', 'n', 'reason', 'more'],
      [[id, '12', 'x'.repeat(500), 'y'.repeat(60)]],
      110,
    )
    assert.deepEqual(wide.slice(2), [`${id}  12  ${'x'.repeat(37)}…  ${'y'.repeat(37)}…`])
    const narrow = await tableOf(['ID', 'TOPIC'], [[id, `app.${id}`]], 40)
    assert.deepEqual(narrow.slice(2), [`${id}  app.${id}`])
    assert.deepEqual((await tableOf(['a'], [['😀'.repeat(90)]], 80)).slice(2), [`${'😀'.repeat(79)}…`])
  })

  test('without a terminal a cell is cut at 200 characters', async () => {
    const [, , short, long] = await tableOf(['a'], [['x'.repeat(200)], ['x'.repeat(201)]])
    assert.deepEqual([short, long], ['x'.repeat(200), `${'x'.repeat(199)}…`])
  })

  test('a cell of 64 MiB costs no more memory than it has, nor do rows that are not printed yet', async () => {
    const huge = 'x'.repeat(64 * 1024 * 1024)
    let made = 0
    const cellsOf = (n: number): readonly string[] => {
      made++
      return [n === 0 ? huge : String(n)]
    }
    const before = process.memoryUsage().rss
    const rows = Array.from({ length: 50_000 }, (_, n) => n)
    let mostAhead = 0
    let written = 0
    await printTable(
      {
        columns: 80,
        print: () => {},
        async printLines(lines) {
          for (const _line of lines) mostAhead = Math.max(mostAhead, made - rows.length - ++written)
        },
      },
      ['cell'],
      rows,
      cellsOf,
    )
    const grown = (process.memoryUsage().rss - before) / 1024 / 1024
    assert.equal(written, rows.length)
    assert.equal(mostAhead, 0, 'lines are made one by one')
    assert.ok(grown < 300, `${grown.toFixed(0)} MiB`)
  })
})
