import { shape } from './element.ts'

const POINTS = 60
const [WIDTH, HEIGHT] = [120, 32]

/** A small line of the last minute. */
export interface Sparkline {
  readonly element: SVGElement
  add(value: number): void
}

/** A line without numbers: it shows how steady a figure is. */
export function createSparkline(): Sparkline {
  const values: number[] = []
  const line = shape('path', { class: 'line', fill: 'none' })
  const area = shape('path', { class: 'area' })
  return {
    element: shape(
      'svg',
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        class: 'sparkline',
        preserveAspectRatio: 'none',
        'aria-hidden': 'true',
      },
      area,
      line,
    ),
    add(value) {
      values.push(value)
      if (values.length > POINTS) values.shift()
      const most = Math.max(...values, Number.MIN_VALUE) * 1.15
      const from = POINTS - values.length
      const points = values.map((each, i) => {
        const [x, y] = [((from + i) / (POINTS - 1)) * WIDTH, HEIGHT - 2 - (each / most) * (HEIGHT - 4)]
        return `${x.toFixed(1)} ${y.toFixed(1)}`
      })
      const path = `M${points.join('L')}`
      line.setAttribute('d', path)
      const first = ((from / (POINTS - 1)) * WIDTH).toFixed(1)
      area.setAttribute('d', `${path}L${WIDTH} ${HEIGHT}L${first} ${HEIGHT}Z`)
    },
  }
}
