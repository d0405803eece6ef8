import { element, shape } from './element.ts'
import { decimal } from './format.ts'

type Row = Readonly<Record<string, unknown>>

/** As many units as pixels, so that its text is as large as any other; on a phone it is narrower. */
const [WIDE, NARROW, HEIGHT] = [960, 340, 240]
const isNarrow = matchMedia('(max-width: 760px)')
const EDGE = { left: 76, right: 12, top: 12, bottom: 26 }
const MOST_LINES = 4
/** A plot of fewer points says less than the table. */
const FEWEST_POINTS = 3

/**
 * The numbers of an answer over its first column of times or numbers, one line a column; undefined where there is no such pair. Columns of very
 * different size share one scale: ask for one of them.
 */
export function drawPlot(columns: readonly string[], rows: readonly Row[]): HTMLElement | undefined {
  if (rows.length < FEWEST_POINTS) return undefined
  const along = columns.find((name) => rows.every((row) => placeOf(row[name]) !== undefined))
  if (along === undefined) return undefined
  const lines = columns.filter(
    (name) => name !== along && rows.every((row) => numberOf(row[name]) !== undefined),
  )
  if (lines.length === 0) return undefined
  const shown = lines.slice(0, MOST_LINES)
  const sorted = rows.toSorted((a, b) => (placeOf(a[along]) ?? 0) - (placeOf(b[along]) ?? 0))
  const places = sorted.map((row) => placeOf(row[along]) ?? 0)
  const values = shown.map((name) => sorted.map((row) => numberOf(row[name]) ?? 0))
  const width = isNarrow.matches ? NARROW : WIDE
  const [low, high] = range(values.flat())
  const [first = 0, last = 0] = [places.at(0), places.at(-1)]
  const x = (place: number): number =>
    EDGE.left + ((place - first) / (last - first || 1)) * (width - EDGE.left - EDGE.right)
  const y = (value: number): number =>
    HEIGHT - EDGE.bottom - ((value - low) / (high - low || 1)) * (HEIGHT - EDGE.top - EDGE.bottom)
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low))
  const isTime = sorted.every((row) => typeof row[along] === 'string')
  const svg = shape(
    'svg',
    { viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': `${shown.join(', ')} by ${along}` },
    ...ticks.flatMap((tick) => [
      shape('path', { class: 'grid', d: `M${EDGE.left} ${y(tick)}H${width - EDGE.right}` }),
      shape(
        'text',
        { x: EDGE.left - 8, y: y(tick) + 4, 'text-anchor': 'end' },
        decimal(Number(tick.toPrecision(6))),
      ),
    ]),
    shape('text', { x: EDGE.left, y: HEIGHT - 6 }, placeText(first, isTime)),
    shape('text', { x: width - EDGE.right, y: HEIGHT - 6, 'text-anchor': 'end' }, placeText(last, isTime)),
    ...values.map((line, i) => {
      const points = line.map((value, at) => `${x(places[at] ?? 0).toFixed(1)} ${y(value).toFixed(1)}`)
      return shape('path', { class: `plotted plotted-${i}`, d: `M${points.join('L')}` })
    }),
  )
  const legend = shown.map((name, i) => element('span', { class: `key key-${i}` }, name))
  return element('figure', { class: 'plot' }, element('figcaption', { class: 'row' }, ...legend), svg)
}

/** A time or a number as a place on the line below. */
function placeOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d([T ]|$)/.test(value)) return undefined
  const time = Date.parse(value)
  return Number.isNaN(time) ? undefined : time
}

/** Large integers and decimals of the database come as text. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined
}

function placeText(place: number, isTime: boolean): string {
  return isTime ? new Date(place).toISOString().slice(0, 16).replace('T', ' ') : decimal(place)
}

/** From zero where the values are not all far from it. */
function range(values: readonly number[]): readonly [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  return [least > 0 && least < most / 2 ? 0 : least, most]
}
