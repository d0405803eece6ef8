import { Environment } from '@marcbachmann/cel-js'
import type { Trade } from '../../src/domain/events.ts'
import { parseWhere } from '../../src/domain/where.ts'
import { type Bench, describe, type Measurement, measure } from '../bench.ts'
import { makeTrades } from '../trades.ts'

const EVALUATIONS = 1_000_000
const ROUNDS = 5
const EVENTS = 1_000

/** The same filter in CEL and written by hand. Numbers have a point, since cel-js takes others for integers. */
const FILTERS: readonly { readonly text: string; readonly byHand: (trade: Trade) => boolean }[] = [
  { text: 'size >= 0.005', byHand: ({ size }) => size >= 0.005 },
  {
    text: 'size >= 0.005 && side == "buy"',
    byHand: ({ size, side }) => size >= 0.005 && side === 'buy',
  },
  {
    text: '(price * size > 500.0 || size > 0.008) && exchange in ["coinbase", "kraken"] && symbol.startsWith("BTC-")',
    byHand: ({ price, size, exchange, symbol }) =>
      (price * size > 500 || size > 0.008) &&
      (exchange === 'coinbase' || exchange === 'kraken') &&
      symbol.startsWith('BTC-'),
  },
]

type Test = (trade: Trade) => boolean

export const bench: Bench = {
  summary:
    "where on trades, as streams evaluate it, against a function that is written by hand, and against cel-js's own evaluation",
  async run({ records }, print) {
    const count = records ?? EVALUATIONS
    const trades = makeTrades(EVENTS)
    for (const { text, byHand } of FILTERS) {
      const sides = { where: whereOf(text), byHand, celJs: celJsOf(text) }
      const wanted = trades.filter(byHand).length
      for (const [name, test] of Object.entries(sides)) {
        const taken = trades.filter(test).length
        if (taken !== wanted) throw new Error(`${name} takes ${taken} of ${EVENTS}, not ${wanted}: ${text}`)
      }
      const rounds: Record<keyof typeof sides, Measurement[]> = { where: [], byHand: [], celJs: [] }
      for (let round = 0; round < ROUNDS; round++)
        for (const name of ['where', 'byHand', 'celJs'] as const)
          rounds[name].push(byCpu(await measure(count, async () => evaluate(sides[name], trades, count))))
      print(
        `  ${text}  (takes ${((100 * wanted) / EVENTS).toFixed(0)} % of them, ${ROUNDS} rounds of ${count} evaluations)`,
      )
      const against = { name: 'evaluations a second of CPU', unit: 'evaluations', subject: rounds.where }
      print(describe({ ...against, baseline: rounds.byHand, against: 'by hand' }))
      print(describe({ ...against, baseline: rounds.celJs, against: 'cel-js' }))
    }
  },
}

function whereOf(text: string): Test {
  const where = parseWhere('trade', text)
  if (!('accepts' in where)) throw new Error(`${text}: ${where.message}`)
  return where.accepts
}

function celJsOf(text: string): Test {
  const evaluateText = new Environment({ unlistedVariablesAreDyn: true }).parse(text)
  return (trade) => evaluateText(trade as unknown as Record<string, unknown>) === true
}

/** By the processor time that it took: nothing waits here but for a core. */
function byCpu(measured: Measurement): Measurement {
  return { ...measured, seconds: measured.mainCpuMicros / 1e6 }
}

/** What it comes to is kept, so that no evaluation is left out. */
function evaluate(test: Test, trades: readonly Trade[], count: number): void {
  let taken = 0
  for (let i = 0; i < count; i++) if (test(trades[i % trades.length] as Trade)) taken++
  if (taken > count) throw new Error('it takes more than there are')
}
