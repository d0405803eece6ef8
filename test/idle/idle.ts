import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../e2e/platform-process.ts'
import { type Cluster, openCluster, startAll } from '../e2e/servers/cluster.ts'
import { ResumingClient } from '../e2e/servers/resuming-client.ts'
import { StreamClient } from '../e2e/stream-client.ts'
import { type MemorySample, readSamples } from './memory-samples.ts'

const ROLES = {
  producer: 'producer',
  coordinator: 'coordinator',
  consumer: 'consumer-fixed',
  gateway: 'gateway',
}

/** What is traded before all is quiet: each part has then done each of its tasks. */
const TRADES = 2_000
const RATE = 200
const OPEN_MS = 60_000
/** As Prometheus and Kubernetes ask. */
const ASK_EVERY_MS = 15_000
/** As parts of the time: when snapshots are taken. */
const SETTLED = 0.3
const NEAR_END = 0.9
const PROBE = new URL('memory-probe.ts', import.meta.url).href

export interface IdleOptions {
  readonly forMs: number
  readonly sampleEveryMs: number
  readonly seed: number
  /** Folder for a heap snapshot of each process once it has settled, and one near the end; those weigh about 80 MB each. */
  readonly snapshots?: string
  /** Told every sample. */
  readonly onSample: (name: string, sample: MemorySample) => void
}

/**
 * Each role in a process of its own, on Kafka and PostgreSQL, with applications that are connected, one of which connects anew every few
 * seconds: some trades first, then none. Gives what each process used meanwhile.
 */
export async function runIdle(
  { forMs, sampleEveryMs, seed, snapshots, onSample }: IdleOptions,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly MemorySample[]>> {
  const cluster = await openCluster({
    ...{ seed, rate: RATE, events: TRADES, roles: ROLES },
    environmentOf: (name, folder) => ({
      NODE_OPTIONS: `--import=${PROBE}`,
      TAPELINE_TEST_SAMPLES: samplesOf(folder, name),
      TAPELINE_TEST_SAMPLE_MS: String(sampleEveryMs),
      TAPELINE_LOG_LEVEL: 'info',
      ...(snapshots !== undefined && {
        TAPELINE_TEST_SNAPSHOTS: join(snapshots, name),
        TAPELINE_TEST_SNAPSHOTS_AT: [forMs * SETTLED, forMs * NEAR_END].map((ms) => ms / 1_000).join(),
      }),
    }),
  })
  const clients: { close(): unknown }[] = []
  try {
    await startAll(cluster)
    const gateway = cluster.api('gateway')
    for (const symbols of [['*'], ['BTC-*'], ['ETH-USD']]) {
      const client = await StreamClient.open(gateway)
      clients.push({ close: () => client.cut() })
      await client.request({ channel: 'trade', symbols })
    }
    const resuming = new ResumingClient('resuming', [gateway], { channel: 'quote', symbols: ['*'] })
    clients.push(resuming)
    await resuming.open(AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)]))
    await until('all trades are stored', async () => (await countTrades(cluster)) >= TRADES, OPEN_MS)
    return await sampleAll(cluster, forMs, onSample, signal)
  } finally {
    for (const client of clients) await client.close()
    await cluster.close()
  }
}

const samplesOf = (folder: string, name: string): string => join(folder, `${name}.samples`)

async function countTrades(cluster: Cluster): Promise<number> {
  const [row] = await cluster.sql<{ n: string }>('select count(*) as n from trades')
  return Number(row?.n)
}

async function sampleAll(
  cluster: Cluster,
  forMs: number,
  onSample: IdleOptions['onSample'],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly MemorySample[]>> {
  const told = new Map<string, number>()
  const all = new Map<string, readonly MemorySample[]>()
  const end = performance.now() + forMs
  while (performance.now() < end) {
    await delay(Math.max(1, Math.min(ASK_EVERY_MS, end - performance.now())), undefined, { signal })
    for (const name of cluster.names) {
      await askOperations(await cluster.process(name).api())
      const samples = await readSamples(samplesOf(cluster.folder, name))
      for (const sample of samples.slice(told.get(name) ?? 0)) onSample(name, sample)
      told.set(name, samples.length)
      all.set(name, samples)
    }
  }
  return all
}

async function askOperations(api: string): Promise<void> {
  for (const path of ['/readyz', '/metrics']) {
    const response = await fetch(`${api}${path}`)
    await response.text()
    if (!response.ok) throw new Error(`GET ${api}${path}: ${response.status}`)
  }
}
