import type { Terminal } from './command.ts'
import { painted } from './paint.ts'
import { visibleText } from './visible-text.ts'

/** Characters that would move the cursor or colour the terminal: data from outside must not. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is searched for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g
const NUMBER = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i

const GAP = '  '

/** Where there is no terminal to fit into, a cell is cut here; with --json nothing is. */
const WIDEST_CELL = 200
/** No cell is cut to less, so that ids and names stay whole: then lines are wider than the terminal. */
const LEAST_CUT = 32

/** Text that is safe to show: one line, without control characters, and nothing in it that nobody sees. */
export function plainText(text: string): string {
  return visibleText(text.replace(CONTROL, ' '))
}

/**
 * Prints rows under column names, aligned; columns that hold nothing but numbers are aligned to the right. Each row has as many cells as
 * there are columns, and `cellsOf` makes them, twice: lines are written one after the other and never held together. Cells that would
 * make lines wider than the terminal are cut, with … at their end; those of a first column of ids never are.
 */
export async function printTable<Row>(
  terminal: Pick<Terminal, 'print' | 'printLines' | 'columns'>,
  columns: readonly string[],
  rows: readonly Row[],
  cellsOf: (row: Row) => readonly string[],
  { hasIds = false } = {},
): Promise<void> {
  const head = columns.map((name) => cut(name, WIDEST_CELL))
  const widths = head.map(widthOf)
  const toRight = head.map(() => rows.length > 0)
  const most = Math.max(WIDEST_CELL, terminal.columns ?? 0)
  for (const row of rows) {
    for (const [i, cell] of cellsOf(row).entries()) {
      const shown = cut(cell, most)
      widths[i] = Math.max(widths[i] ?? 0, widthOf(shown))
      if (!isNumeric(shown)) toRight[i] = false
    }
  }
  const whole = hasIds ? widths.slice(0, 1) : []
  const fitted = [...whole, ...fit(widths.slice(whole.length), roomBeside(whole, terminal.columns))]
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => pad(cut(cell, fitted[i] ?? 0), fitted[i] ?? 0, toRight[i] === true))
      .join(GAP)
      .trimEnd()
  terminal.print(painted('bold', line(head)))
  terminal.print(fitted.map((width) => '-'.repeat(width)).join(GAP))
  const lines = function* () {
    for (const row of rows) yield line(cellsOf(row))
  }
  await terminal.printLines(lines())
}

/** How wide the other columns may be beside those that stay as they are. */
function roomBeside(whole: readonly number[], available: number | undefined): number | undefined {
  return available && whole.reduce((room, width) => room - width - GAP.length, available)
}

/** Widths of columns that fit together into the room: the widest are cut first, all of them to the same width. */
function fit(widths: readonly number[], available: number | undefined): readonly number[] {
  if (available === undefined) return widths
  const room = available - GAP.length * (widths.length - 1)
  const narrowFirst = widths.toSorted((a, b) => a - b)
  let rest = room
  let left = narrowFirst.length
  for (const width of narrowFirst) {
    if (width * left > rest) break
    rest -= width
    left--
  }
  const most = left === 0 ? Number.POSITIVE_INFINITY : Math.max(LEAST_CUT, Math.floor(rest / left))
  return widths.map((width) => Math.min(width, most))
}

/** A cell as it is shown, in at most so many characters. Of a long one only the beginning is looked at. */
function cut(text: string, most: number): string {
  const begin = text.slice(0, 2 * most + 2)
  const shown = [...plainText(begin)]
  if (shown.length <= most && begin.length === text.length) return shown.join('')
  return `${shown.slice(0, most - 1).join('')}…`
}

function isNumeric(cell: string): boolean {
  return cell === '' || cell === 'null' || NUMBER.test(cell)
}

function widthOf(text: string): number {
  return [...text].length
}

function pad(cell: string, width: number, toRight: boolean): string {
  const blank = ' '.repeat(Math.max(0, width - widthOf(cell)))
  return toRight ? blank + cell : cell + blank
}
