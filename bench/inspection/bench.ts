import { setTimeout as delay } from 'node:timers/promises'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { type Bench, median, wholeNumber } from '../bench.ts'
import { MeasuredPlatform } from '../platform/measured.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { stepMicros } from './steps.ts'
import { Watchers } from './watchers.ts'

const WATCHERS = 50
const RATES = [50, 2_000]
const ROUNDS = 3
const ROUND_MS = 15_000
const WARM_UP_MS = 20_000

export const bench: Bench = {
  summary: `what watching the machines costs a platform: nobody watches, and ${WATCHERS} do, by processor time`,
  async run({ records }, print) {
    const micros = await stepMicros()
    print(
      `  a step: ${micros.watched.toFixed(2)} us seen by nobody, ${micros.bare.toFixed(2)} us without anything that looks`,
    )
    for (const rate of records === undefined ? RATES : [records]) await measureRate(rate, micros, print)
  },
}

type StepMicros = Awaited<ReturnType<typeof stepMicros>>

/** A time of the platform. */
interface Round {
  /** Of all its threads. */
  readonly cores: number
  readonly steps: number
}

async function measureRate(rate: number, micros: StepMicros, print: (line: string) => void): Promise<void> {
  await inTemporaryFolder(async (data) => {
    const simulator = await startSimulatorThread({ rate, seed: 1 })
    const { url: restUrl, websocketUrl: url } = simulator
    const platform = new MeasuredPlatform({
      ...{
        data,
        gateway: { port: 0 },
        streams: { standing: { all: { channel: 'trade', symbols: ['*'] } } },
      },
      source: { kind: 'cryptocompare', url, restUrl },
    })
    const watchers = new Watchers()
    try {
      await platform.start()
      await delay(WARM_UP_MS)
      const alone: Round[] = []
      const watched: Round[] = []
      for (let round = 0; round < ROUNDS; round++) {
        alone.push(await measureRound(platform))
        await watchers.open(platform.api, WATCHERS)
        watched.push(await measureRound(platform))
        await watchers.close()
      }
      for (const line of describe(rate, { alone, watched, watchers, micros })) print(line)
    } catch (error) {
      print(platform.output)
      throw error
    } finally {
      await watchers.close()
      await platform.kill()
      await simulator.close()
    }
  })
}

async function measureRound(platform: MeasuredPlatform): Promise<Round> {
  const look = async () => ({
    at: performance.now(),
    cpuMicros: (await platform.usage('cpu')).cpuMicros,
    steps: await stepsOf(platform.api),
  })
  const before = await look()
  await delay(ROUND_MS)
  const after = await look()
  const seconds = (after.at - before.at) / 1_000
  return {
    cores: (after.cpuMicros - before.cpuMicros) / 1e6 / seconds,
    steps: (after.steps - before.steps) / seconds,
  }
}

async function stepsOf(api: string): Promise<number> {
  const text = await (await fetch(`${api}/metrics`)).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith('tapeline_transitions_total{'))
    .reduce((all, line) => all + Number(line.split(' ').at(-1)), 0)
}

interface Measured {
  readonly alone: readonly Round[]
  readonly watched: readonly Round[]
  readonly watchers: Watchers
  readonly micros: StepMicros
}

function* describe(rate: number, { alone, watched, watchers, micros }: Measured): Generator<string> {
  const percent = (cores: number): string => `${(100 * cores).toFixed(1)} %`
  const all = (rounds: readonly Round[]): string => rounds.map(({ cores }) => percent(cores)).join(', ')
  const base = median(alone.map(({ cores }) => cores))
  const steps = median(alone.map(({ steps }) => steps))
  const looking = (steps * (micros.watched - micros.bare)) / 1e6
  yield `  ${wholeNumber(rate)} trades/s, ${wholeNumber(steps)} steps/s`
  yield `    nobody watches: ${((100 * looking) / base).toFixed(2)} % of what the platform takes`
  yield `    ${WATCHERS} watch: ${percent(median(watched.map(({ cores }) => cores)) - base)} of a core more (${all(watched)}, without ${all(alone)})`
  yield `    each saw ${wholeNumber(watchers.seen)} steps, ${wholeNumber(watchers.lost)} of all were lost`
  if (watchers.lost > 0) process.exitCode = 1
}
