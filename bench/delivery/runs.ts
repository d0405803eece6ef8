import { setTimeout as delay } from 'node:timers/promises'
import { type Application, startApplication } from '../../src/cli/demo/application.ts'
import { loadConfig } from '../../src/config.ts'
import { DEFAULT_MARKETS } from '../../src/simulator/markets.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { clockMicros } from '../../src/topology/sources.ts'
import { startPlatform } from '../../src/topology.ts'
import { type Measurement, measure } from '../bench.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { startBareLoop } from './bare-loop.ts'

/** How many trades the simulator emits, and how many a second. */
export interface Load {
  readonly rate: number
  readonly events: number
}

/** What an application saw of one run. */
export interface Delivery extends Measurement {
  readonly missing: number
  readonly duplicates: number
  /** p50, p99 and p99.9 of source frame -> WebSocket client, in ms, without the warm-up. */
  readonly latenciesMs: readonly number[]
  /** CPU of all threads except the simulator's, in us a trade. */
  readonly cpuMicros: number
  /** How far the simulator fell behind its rate: not 0 means that the machine, not the platform, set the rate. */
  readonly lostMillis: number
}

export const SHARES = [0.5, 0.99, 0.999]
const MOST_WARM_UP_SECONDS = 2
/** Without any progress for so long, a run is over: something is missing. */
const PATIENCE_MS = 20_000
const signal = AbortSignal.timeout(900_000)

/** Through the whole platform, as `tapeline demo` runs it; also gives how long after the last delivery all rows were stored. */
export async function throughPlatform(
  load: Load,
): Promise<{ delivery: Delivery; storedAfterSeconds: number }> {
  return inTemporaryFolder(async (folder) => {
    const simulator = await startSimulatorThread(load)
    const log = createLog({ level: 'warn', pretty: false })
    const markets = DEFAULT_MARKETS.map(({ exchange, symbol }) => `${exchange}:${symbol}`)
    const { websocketUrl: url, url: restUrl } = simulator
    const config = loadConfig({
      environment: {},
      flags: { data: folder, source: { kind: 'cryptocompare', url, restUrl, markets }, gateway: { port: 0 } },
    })
    let begin: (() => void) | undefined
    let application: Promise<Application> | undefined
    const onServing = async (api: string): Promise<void> => {
      const started = clock(load)
      begin = started.begin
      application = startApplication({ api }, started.measuredFrom)
      await application
    }
    const platform = await startPlatform(config, { log, onServing }, signal)
    try {
      if (application === undefined || begin === undefined) throw new Error('the platform serves nobody')
      begin()
      const client = await application
      const delivery = await watch(simulator, client, load)
      const drained = performance.now()
      while ((await platform.countUnstored(signal)) > 0) await delay(50)
      await client.close()
      return { delivery, storedAfterSeconds: (performance.now() - drained) / 1000 }
    } finally {
      await platform.close()
      await simulator.close()
    }
  })
}

/** Through the bare loop, with the same application. */
export async function throughBareLoop(load: Load): Promise<Delivery> {
  const simulator = await startSimulatorThread(load)
  const loop = await startBareLoop()
  try {
    const { begin, measuredFrom } = clock(load)
    const client = await startApplication({ api: loop.api }, measuredFrom)
    await loop.connect(simulator.websocketUrl)
    begin()
    const delivery = await watch(simulator, client, load)
    await client.close()
    return delivery
  } finally {
    loop.close()
    await simulator.close()
  }
}

/** Latencies count from two seconds after `begin`, or from a third of a shorter run. */
function clock({ rate, events }: Load): { readonly begin: () => void; readonly measuredFrom: () => number } {
  const warmUpSeconds = Math.min(MOST_WARM_UP_SECONDS, events / rate / 3)
  let from = Number.POSITIVE_INFINITY
  return {
    begin: () => {
      from = clockMicros() + warmUpSeconds * 1e6
    },
    measuredFrom: () => from,
  }
}

async function watch(simulator: Simulator, application: Application, { events }: Load): Promise<Delivery> {
  // Connecting is not part of the rate.
  await untilDelivered(application, 1)
  const before = await simulator.stats()
  const rest = events - application.delivered
  const cpuBefore = process.cpuUsage()
  const measurement = await measure(rest, () => untilDelivered(application, events))
  const { user, system } = process.cpuUsage(cpuBefore)
  const { cpuMillis, lostMillis } = await simulator.stats()
  return {
    ...measurement,
    missing: events - application.delivered,
    duplicates: application.duplicates,
    latenciesMs: SHARES.map((share) => application.latencies.millisAt(share) ?? Number.NaN),
    cpuMicros: (user + system - (cpuMillis - before.cpuMillis) * 1000) / rest,
    lostMillis,
  }
}

async function untilDelivered(application: Application, events: number): Promise<void> {
  let known = application.delivered
  let progressAt = performance.now()
  while (application.delivered < events && performance.now() - progressAt < PATIENCE_MS) {
    await delay(20)
    if (application.delivered !== known) progressAt = performance.now()
    known = application.delivered
  }
}
