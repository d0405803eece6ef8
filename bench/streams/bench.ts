import { setTimeout as delay } from 'node:timers/promises'
import { DEFAULT_MARKETS } from '../../src/simulator/markets.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { clockMicros } from '../../src/topology/sources.ts'
import { type Bench, median, wholeNumber } from '../bench.ts'
import { MeasuredPlatform } from '../platform/measured.ts'
import type { Usage } from '../platform/process.ts'
import { openKafkaToMeasure } from '../servers/kafka.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { createStreams, Readers } from './readers.ts'

const SIZES = [10, 1_000, 10_000]
const RATE = 1_000
const ROUNDS = 3
const ROUND_MS = 10_000
const WARM_UP_MS = 20_000
/** So long the platform may take to become quiet, and to serve all streams again. */
const SETTLE_MS = 5_000
const PATIENCE_MS = 300_000

/** The market that all streams ask for: it is traded only while it is measured how soon all are served again. */
const SYMBOL = 'LTC-USD'
const COMMON = `coinbase:${SYMBOL}`
const ALL = DEFAULT_MARKETS.map(({ exchange, symbol }) => `${exchange}:${symbol}`)
const OTHERS = ALL.filter((market) => !market.endsWith(SYMBOL))

export const bench: Bench = {
  summary:
    'many streams, each with a topic and a reader of its own, against ten: memory, CPU an event that none of them wants, and the time to serve all again after a kill',
  async run({ records, on, kafka: servers }, print) {
    const sizes = SIZES.filter((size) => size <= (records ?? Number.POSITIVE_INFINITY))
    if (on !== 'kafka') await measureEngine('embedded', {}, sizes, print)
    if (on === 'embedded') return
    const kafka = await openKafkaToMeasure(servers)
    try {
      // A number of a setting is seconds, and what was read of it milliseconds.
      const { sessionTimeout, ...others } = kafka.config.broker
      const broker = { ...others, sessionTimeout: `${sessionTimeout}ms` }
      const topics = {
        prefix: `${kafka.prefix}-market`,
        dynamicPrefix: `${kafka.prefix}-app`,
        controlPrefix: `${kafka.prefix}-control`,
      }
      await measureEngine(kafka.name, { broker, topics }, sizes, print)
    } finally {
      await kafka.close()
    }
  },
}

/** A simulator that is replaced by another one under the same address. */
class Market {
  #simulator: Simulator | undefined
  port = 0

  async trade(markets: readonly string[], rate: number): Promise<Simulator> {
    await this.close()
    this.#simulator = await startSimulatorThread({ port: this.port, markets, rate })
    this.port = this.#simulator.port
    return this.#simulator
  }

  async close(): Promise<void> {
    await this.#simulator?.close()
    this.#simulator = undefined
  }
}

async function measureEngine(
  engine: string,
  flags: object,
  sizes: readonly number[],
  print: (line: string) => void,
): Promise<void> {
  print(`  ${engine}`)
  await inTemporaryFolder(async (data) => {
    const market = new Market()
    const { url: restUrl, websocketUrl: url } = await market.trade(OTHERS, RATE)
    const platform = new MeasuredPlatform({
      ...{ data, gateway: { port: 0 }, streams: { maxPerApplication: 100_000 } },
      source: { kind: 'cryptocompare', url, restUrl, markets: ALL, channels: ['trade'] },
      ...flags,
    })
    const readers = new Readers()
    try {
      await platform.start()
      const ids: string[] = []
      let first: Sized | undefined
      for (const size of sizes) {
        const sized = await measureSize(platform, market, readers, ids, size)
        for (const line of describe(sized, first ?? sized)) print(line)
        first ??= sized
      }
    } catch (error) {
      print(platform.output)
      throw error
    } finally {
      readers.close()
      await platform.kill()
      await market.close()
    }
  })
}

/** What was measured with so many streams. */
interface Sized {
  readonly streams: number
  readonly added: number
  /** To make and to read those that were added. */
  readonly growthSeconds: number
  /** In microseconds, by round. */
  readonly cpuAnEvent: readonly number[]
  readonly served: number
  /** From the kill until the API answered, and until all streams had brought something. */
  readonly startSeconds: number
  readonly returnSeconds: number
  /** CPU of all threads of the new process until then. */
  readonly returnCpuSeconds: number
  /** Of the process that was started after the kill. */
  readonly memory: Usage
}

async function measureSize(
  platform: MeasuredPlatform,
  market: Market,
  readers: Readers,
  ids: string[],
  size: number,
): Promise<Sized> {
  await market.trade(OTHERS, RATE)
  const growth = await grow(platform, readers, ids, size)
  const cpuAnEvent = await measureCpu(platform, market)
  const returned = await killAndServe(platform, market, readers, ids)
  await market.close()
  await delay(SETTLE_MS)
  return { streams: size, ...growth, cpuAnEvent, ...returned, memory: await platform.usage('memory') }
}

/** Makes streams until there are so many, and reads them. */
async function grow(
  platform: MeasuredPlatform,
  readers: Readers,
  ids: string[],
  size: number,
): Promise<Pick<Sized, 'added' | 'growthSeconds'>> {
  const began = performance.now()
  const specs = Array.from({ length: size - ids.length }, (_, i) => ({
    channel: 'trade',
    symbols: [`X${ids.length + i}-*`, SYMBOL],
    ttl: '2h',
  }))
  const made = await createStreams(platform.api, specs)
  await readers.read(platform.api, made)
  ids.push(...made)
  return { added: made.length, growthSeconds: (performance.now() - began) / 1000 }
}

/** In microseconds an event that no stream wants, of all threads of the platform, by round. */
async function measureCpu(platform: MeasuredPlatform, market: Market): Promise<number[]> {
  const simulator = await market.trade(OTHERS, RATE)
  await delay(WARM_UP_MS)
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const [before, { emitted }] = [await platform.usage('cpu'), await simulator.stats()]
    await delay(ROUND_MS)
    const [after, { emitted: then }] = [await platform.usage('cpu'), await simulator.stats()]
    rounds.push((after.cpuMicros - before.cpuMicros) / (then - emitted))
  }
  return rounds
}

/** Kills the platform while all streams are served, and starts it at once. */
async function killAndServe(
  platform: MeasuredPlatform,
  market: Market,
  readers: Readers,
  ids: readonly string[],
): Promise<Pick<Sized, 'served' | 'startSeconds' | 'returnSeconds' | 'returnCpuSeconds'>> {
  const start = clockMicros()
  await market.trade([COMMON], 1)
  await untilServed(readers, start, ids.length)
  readers.close()
  await platform.kill()
  const [killedAt, began] = [clockMicros(), performance.now()]
  await platform.start()
  const startSeconds = (performance.now() - began) / 1000
  await readers.read(platform.api, ids)
  const served = await untilServed(readers, killedAt, ids.length)
  const returnSeconds = (performance.now() - began) / 1000
  const { cpuMicros } = await platform.usage('cpu')
  return { served, startSeconds, returnSeconds, returnCpuSeconds: cpuMicros / 1e6 }
}

async function untilServed(readers: Readers, since: number, streams: number): Promise<number> {
  const end = performance.now() + PATIENCE_MS
  let served = readers.servedSince(since)
  while (served < streams && performance.now() < end) {
    await delay(50)
    served = readers.servedSince(since)
  }
  return served
}

/** `first`: with the fewest streams, the baseline. */
function describe(sized: Sized, first: Sized): string[] {
  const {
    streams,
    added,
    growthSeconds,
    cpuAnEvent,
    served,
    startSeconds,
    returnSeconds,
    returnCpuSeconds,
    memory,
  } = sized
  if (served < streams) process.exitCode = 1
  const against = `that with ${first.streams}`
  const cpu = median(cpuAnEvent)
  const rounds = cpuAnEvent.map((each) => each.toFixed(1)).join(', ')
  const more = streams - first.streams
  const each = (bytes: number): string => `${(bytes / more / 1000).toFixed(1)} kB`
  const rss = memory.rssBytes - first.memory.rssBytes
  const heap = memory.heapBytes - first.memory.heapBytes
  const all = served < streams ? `ONLY ${wholeNumber(served)} SERVED` : 'all served again'
  return [
    `    ${wholeNumber(streams)} streams; ${wholeNumber(added)} made and read in ${growthSeconds.toFixed(1)} s`,
    `      CPU an event that none wants: ${(cpu / median(first.cpuAnEvent)).toFixed(2)} x ${against}; ${cpu.toFixed(1)} us (rounds ${rounds})`,
    ...(more > 0
      ? [`      memory a stream: ${each(heap)} of the heap without garbage, ${each(rss)} of the process`]
      : []),
    `      after kill -9: ${all} in ${returnSeconds.toFixed(1)} s, of which ${startSeconds.toFixed(1)} until the API answered (${(returnSeconds / first.returnSeconds).toFixed(2)} x ${against}); ${returnCpuSeconds.toFixed(1)} s of CPU`,
  ]
}
