import { setTimeout as delay } from 'node:timers/promises'
import { DEFAULT_MARKETS } from '../../src/simulator/markets.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { type Bench, median, wholeNumber } from '../bench.ts'
import { MeasuredPlatform } from '../platform/measured.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'

const RATE = 20_000
const ROUNDS = 3
const WARM_UP_MS = 20_000
const ROUND_MS = 15_000
/** The first minutes cost more: the engine compiles what runs often. */
const SETTLE_MS = 60_000
const IDLE_MS = 30_000

export const bench: Bench = {
  summary:
    'the machines of a whole embedded platform: their part of its CPU at full load, against all of it; and its CPU while nothing is traded, against that load',
  async run({ records }, print) {
    const rate = records ?? RATE
    const loaded = await measure(rate, WARM_UP_MS, ROUND_MS, true)
    const share = (of: (round: Round) => number): string => {
      const shares = loaded.map((round) => of(round) * 100)
      return `${median(shares).toFixed(1)} % (rounds ${shares.map((each) => each.toFixed(1)).join(', ')})`
    }
    const cores = (rounds: readonly Round[]): number => median(rounds.map((round) => round.cores))
    const samples = loaded.reduce((sum, round) => sum + round.samples, 0)
    print(
      `  machines, of the CPU of all threads at ${wholeNumber(rate)} trades/s: ${share(({ machineCores, cores: all }) => machineCores / all)}; ${wholeNumber(samples)} samples`,
    )
    print(`    of the main thread alone: ${share(({ machineCores, mainCores }) => machineCores / mainCores)}`)
    print(
      `    the platform: ${cores(loaded).toFixed(2)} of a core, ${(median(loaded.map(({ microsATrade }) => microsATrade))).toFixed(1)} us a trade`,
    )
    const idle = await measure(1, SETTLE_MS, IDLE_MS, false)
    print(
      `  idle: ${(cores(idle) * 100).toFixed(1)} % of a core (rounds ${idle.map((round) => (round.cores * 100).toFixed(1)).join(', ')}), ${(cores(idle) / cores(loaded)).toFixed(3)} x that at full load`,
    )
  },
}

/** In cores, over a round. */
interface Round {
  readonly cores: number
  readonly mainCores: number
  readonly machineCores: number
  readonly samples: number
  readonly microsATrade: number
}

/** `isTraded`: trades come all the time; else one comes, and then nothing more. */
async function measure(rate: number, warmUpMs: number, roundMs: number, isTraded: boolean): Promise<Round[]> {
  return inTemporaryFolder(async (data) => {
    const simulator = await startSimulatorThread({ rate, ...(!isTraded && { events: 1 }) })
    const { url: restUrl, websocketUrl: url } = simulator
    const markets = DEFAULT_MARKETS.map(({ exchange, symbol }) => `${exchange}:${symbol}`)
    const source = { kind: 'cryptocompare', url, restUrl, markets, channels: ['trade'] }
    const streams = { standing: { all: { channel: 'trade', symbols: ['*'] } } }
    const platform = new MeasuredPlatform({ data, gateway: { port: 0 }, source, streams })
    try {
      await platform.start()
      await delay(warmUpMs)
      const rounds: Round[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const [before, { emitted }] = [
          await platform.usage(isTraded ? 'profile' : 'cpu'),
          await simulator.stats(),
        ]
        const began = performance.now()
        await delay(roundMs)
        const after = await platform.usage(isTraded ? 'profile' : 'cpu')
        const micros = (performance.now() - began) * 1000
        const { emitted: then } = await simulator.stats()
        const cpu = after.cpuMicros - before.cpuMicros
        const { machineMicros, busyMicros, samples } = after.profiled
        const main = { mainCores: busyMicros / micros, machineCores: machineMicros / micros, samples }
        rounds.push({ cores: cpu / micros, ...main, microsATrade: cpu / (then - emitted) })
      }
      return rounds
    } finally {
      await platform.kill()
      await simulator.close()
    }
  })
}
