import { setTimeout as delay } from 'node:timers/promises'
import { clockMicros } from '../../src/topology/sources.ts'
import { type Bench, wholeNumber } from '../bench.ts'
import { type DatabaseServer, openDatabaseServer, type TemporaryDatabase } from '../servers/database.ts'
import { type KafkaToMeasure, openKafkaToMeasure } from '../servers/kafka.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { startClient } from './client.ts'
import { commitLatencies } from './commits.ts'
import { cpuSeconds, describeCores } from './cpu.ts'
import { describePercentiles, type Percentiles, percentilesOf, SHARES } from './percentiles.ts'
import { startPlainPipeline } from './plain.ts'
import { startPlatformProcesses, startSimulatorProcess } from './platform.ts'

const RATES = [1_000, 10_000]
const WARM_UP_SECONDS = 15
const SECONDS = 30
/** Without any progress for so long, something is missing. */
const PATIENCE_MS = 20_000
/** So long after the last trade a plain pipeline is waited for: one that sends each record by itself may fall behind without end. */
const PLAIN_PATIENCE_MS = 30_000

export const bench: Bench = {
  summary:
    'source frame -> WebSocket client, against a plain pipeline over the same Kafka, and -> database commit; each role, the source and the servers in processes of their own',
  async run(options, print) {
    const kafka = await openKafkaToMeasure(options.kafka)
    try {
      const server = await openDatabaseServer(options.database)
      try {
        print(`  ${kafka.name}, ${kafka.config.topics.partitions} partitions; ${server.name}`)
        for (const rate of RATES) {
          const measured = options.records ?? rate * SECONDS
          for (const line of await measureRate(kafka, server, rate, measured, print)) print(line)
        }
      } finally {
        await server.close()
      }
    } finally {
      await kafka.close()
    }
  },
}

/** The baselines: a plain pipeline that sends each record by itself, and one that gathers as the producer does in front of a server. */
const PLAIN = [
  { name: 'one record a send', lingerMs: 0 },
  { name: 'gathered for 4 ms', lingerMs: 4 },
] as const

async function measureRate(
  kafka: KafkaToMeasure,
  server: DatabaseServer,
  rate: number,
  measured: number,
  print: (line: string) => void,
): Promise<string[]> {
  const events = measured + rate * WARM_UP_SECONDS
  const plain: ({ readonly name: string } & PlainResult)[] = []
  for (const { name, lingerMs } of PLAIN) {
    const result = await measurePlain(kafka, rate, events, lingerMs)
    const { percentiles, samples, missing } = result
    plain.push({ name, ...result })
    const behind = missing > 0 ? `; FELL BEHIND: ${wholeNumber(missing)} more had not come` : ''
    print(
      `    plain pipeline, ${name}, ${wholeNumber(rate)} trades/s  ${describePercentiles(percentiles)}; ${wholeNumber(samples)} trades${behind}`,
    )
  }
  const { lines, percentiles } = await measurePlatform(kafka, server, rate, events)
  return [
    ...lines,
    ...plain.map(
      ({ name, percentiles: baseline, missing }) =>
        `    tapeline / plain, ${name}${missing > 0 ? ', which fell behind' : ''}: ${SHARES.map((share, i) => `p${share * 100} ${((percentiles[i] ?? NaN) / (baseline[i] ?? NaN)).toFixed(2)} x`).join(', ')}`,
    ),
  ]
}

interface PlainResult {
  readonly percentiles: Percentiles
  readonly samples: number
  /** Trades that had not come when it was waited for no longer. */
  readonly missing: number
}

/** The same source and the same client, with a pipeline in between that is no more than that. */
async function measurePlain(
  kafka: KafkaToMeasure,
  rate: number,
  events: number,
  lingerMs: number,
): Promise<PlainResult> {
  const simulator = await startSimulatorProcess(rate, events)
  const pipeline = await startPlainPipeline(
    kafka,
    simulator,
    `${kafka.prefix}-plain-${rate}-${lingerMs}`,
    lingerMs,
  )
  try {
    const client = await startClient(pipeline.api)
    await pipeline.startProducer()
    await reach(1, () => client.delivered)
    await delay(WARM_UP_SECONDS * 1000)
    const since = clockMicros()
    const mostMs = (events / rate - WARM_UP_SECONDS) * 1000 + PLAIN_PATIENCE_MS
    const delivered = await reach(events, () => client.delivered, mostMs)
    const { fromFrame } = client.latencies(since)
    client.close()
    return {
      percentiles: percentilesOf(fromFrame),
      samples: fromFrame.length,
      missing: Math.max(0, events - delivered),
    }
  } finally {
    await pipeline.stop()
    await simulator.stop()
  }
}

async function measurePlatform(
  kafka: KafkaToMeasure,
  server: DatabaseServer,
  rate: number,
  events: number,
): Promise<{ readonly lines: string[]; readonly percentiles: Percentiles }> {
  return inTemporaryFolder(async (folder) => {
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
      const percentiles = percentilesOf(fromFrame)
      const lines = [
        `  at ${wholeNumber(rate)} trades/s, ${wholeNumber(fromFrame.length)} trades in ${seconds.toFixed(0)} s, ms${faults.map((fault) => `; ${fault}`).join('')}`,
        `    source frame -> WebSocket client  ${describePercentiles(percentiles)}  (from the trade's own time: ${describePercentiles(percentilesOf(fromTrade))})`,
        commits === undefined
          ? '    source frame -> database commit   not measured: the server has track_commit_timestamp = off'
          : `    source frame -> database commit   ${describePercentiles(commits.fromFrame)}  (from the trade's own time: ${describePercentiles(commits.fromTrade)})`,
        `    cores used: ${cores}`,
      ]
      return { lines, percentiles }
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

/** Waits until a count has come to a number, as long as it goes on, and no longer than this; gives where it stands then. */
async function reach(
  target: number,
  count: () => number | Promise<number>,
  mostMs = Number.POSITIVE_INFINITY,
): Promise<number> {
  let known = await count()
  let progressAt = performance.now()
  const end = progressAt + mostMs
  while (known < target && performance.now() < Math.min(end, progressAt + PATIENCE_MS)) {
    await delay(50)
    const now = await count()
    if (now !== known) progressAt = performance.now()
    known = now
  }
  return known
}
