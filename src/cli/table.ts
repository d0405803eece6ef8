import { visibleText } from './visible-text.ts'

/** Characters that would move the cursor or colour the terminal: data from outside must not. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is searched for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g
const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i

const GAP = '  '

/** Text that is safe to show: one line, without control characters, and nothing in it that nobody sees. */
export function plainText(text: string): string {
  return visibleText(text.replace(CONTROL, ' '))
}

/**
 * Rows under column names as plain text, aligned; columns that hold nothing but numbers are aligned to the right.
 * Each row has as many cells as there are columns.
 */
export function formatTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = columns.map(plainText)
  const body = rows.map((row) => row.map(plainText))
  const widths = head.map((name, i) =>
    body.reduce((widest, row) => Math.max(widest, widthOf(row[i] ?? '')), widthOf(name)),
  )
  const toRight = head.map((_, i) => body.length > 0 && body.every((row) => isNumeric(row[i] ?? '')))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => pad(cell, widths[i] ?? 0, toRight[i] === true))
      .join(GAP)
      .trimEnd()
  const rule = widths.map((width) => '-'.repeat(width)).join(GAP)
  return [line(head), rule, ...body.map(line)].join('\n')
}

function isNumeric(cell: string): boolean {
  return cell === '' || cell === 'null' || NUMBER.test(cell)
}

function widthOf(text: string): number {
  return [...text].length
}

function pad(cell: string, width: number, toRight: boolean): string {
  const blank = ' '.repeat(width - widthOf(cell))
  return toRight ? blank + cell : cell + blank
}
