import { setTimeout as delay } from 'node:timers/promises'
import { clockMicros } from '../../src/topology/sources.ts'
import { type Bench, wholeNumber } from '../bench.ts'
import { type DatabaseServer, openDatabaseServer, type TemporaryDatabase } from '../servers/database.ts'
import { type KafkaToMeasure, openKafkaToMeasure } from '../servers/kafka.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { startClient } from './client.ts'
import { commitLatencies } from './commits.ts'
import { cpuSeconds, describeCores } from './cpu.ts'
import { describePercentiles, percentilesOf } from './percentiles.ts'
import { startPlatformProcesses, startSimulatorProcess } from './platform.ts'

const RATES = [1_000, 10_000]
const WARM_UP_SECONDS = 15
const SECONDS = 30
/** Without any progress for so long, something is missing. */
const PATIENCE_MS = 20_000

export const bench: Bench = {
  summary:
    'source frame -> database commit, and -> WebSocket client; each role, the source and the servers in processes of their own',
  async run(options, print) {
    const kafka = await openKafkaToMeasure(options.kafka)
    try {
      const server = await openDatabaseServer(options.database)
      try {
        print(`  ${kafka.name}, ${kafka.config.topics.partitions} partitions; ${server.name}`)
        for (const rate of RATES) {
          const measured = options.records ?? rate * SECONDS
          for (const line of await measureRate(kafka, server, rate, measured)) print(line)
        }
      } finally {
        await server.close()
      }
    } finally {
      await kafka.close()
    }
  },
}

async function measureRate(
  kafka: KafkaToMeasure,
  server: DatabaseServer,
  rate: number,
  measured: number,
): Promise<string[]> {
  return inTemporaryFolder(async (folder) => {
    const events = measured + rate * WARM_UP_SECONDS
    const database = await server.create()
    const simulator = await startSimulatorProcess(rate, events)
    const platform = await startPlatformProcesses({
      ...{ kafka, database, simulator, folder },
      name: `${kafka.prefix}-${rate}`,
    })
    try {
      const client = await startClient(platform.api)
      await platform.startProducer()
      await reach(1, () => client.delivered)
      await delay(WARM_UP_SECONDS * 1000)
      const [since, before, began] = [clockMicros(), await cpuSeconds(), performance.now()]
      await reach(events, () => client.delivered)
      const cores = describeCores(before, await cpuSeconds(), (performance.now() - began) / 1000)
      const seconds = (performance.now() - began) / 1000
      const stored = await reach(events, () => countRows(database))
      const { fromFrame, fromTrade } = client.latencies(since)
      const commits = await commitLatencies(database, since)
      const lost = await simulator.lostMillis()
      const faults = [
        ...(client.delivered === events ? [] : [`${client.delivered} of ${events} DELIVERED`]),
        ...(client.duplicates() === 0 ? [] : [`${client.duplicates()} DUPLICATES`]),
        ...(stored === events ? [] : [`${stored} of ${events} STORED`]),
        ...(lost > 0 ? [`the simulator lost ${wholeNumber(lost)} ms`] : []),
      ]
      if (faults.length > 0) {
        process.exitCode = 1
        console.error(platform.output())
      }
      client.close()
      return [
        `  at ${wholeNumber(rate)} trades/s, ${wholeNumber(fromFrame.length)} trades in ${seconds.toFixed(0)} s, ms${faults.map((fault) => `; ${fault}`).join('')}`,
        `    source frame -> WebSocket client  ${describePercentiles(percentilesOf(fromFrame))}  (from the trade's own time: ${describePercentiles(percentilesOf(fromTrade))})`,
        commits === undefined
          ? '    source frame -> database commit   not measured: the server has track_commit_timestamp = off'
          : `    source frame -> database commit   ${describePercentiles(commits.fromFrame)}  (from the trade's own time: ${describePercentiles(commits.fromTrade)})`,
        `    cores used: ${cores}`,
      ]
    } finally {
      await platform.stop()
      await simulator.stop()
      await database.drop()
    }
  })
}

async function countRows(database: TemporaryDatabase): Promise<number> {
  const [row] = await database.rows('select count(*) as rows from trades')
  return Number(row?.['rows'])
}

/** Waits until a count has come to a number, as long as it goes on; gives where it stands then. */
async function reach(target: number, count: () => number | Promise<number>): Promise<number> {
  let known = await count()
  let progressAt = performance.now()
  while (known < target && performance.now() - progressAt < PATIENCE_MS) {
    await delay(50)
    const now = await count()
    if (now !== known) progressAt = performance.now()
    known = now
  }
  return known
}
