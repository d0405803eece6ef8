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
/** A process whose work began so late, in seconds, when it was asked was held up by others on the machine: it is at rest by itself. */
const HELD_UP_S = 0.5
/** As parts of the time: when garbage is collected and snapshots are taken, in the sixths that are compared. */
const AT = [0.3, 0.9]
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

/** What became of one process. */
export interface IdleProcess {
  readonly samples: readonly MemorySample[]
  /** How often it was asked, and how often of these others on the machine held it up. */
  readonly asked: number
  readonly heldUp: number
}

/**
 * Each role in a process of its own, on Kafka and PostgreSQL, with applications that are connected, one of which connects anew every few
 * seconds: some trades first, then none. Gives what each process used meanwhile.
 */
export async function runIdle(
  { forMs, sampleEveryMs, seed, snapshots, onSample }: IdleOptions,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, IdleProcess>> {
  const cluster = await openCluster({
    ...{ seed, rate: RATE, events: TRADES, roles: ROLES },
    environmentOf: (name, folder) => ({
      NODE_OPTIONS: `--import=${PROBE}`,
      TAPELINE_TEST_SAMPLES: samplesOf(folder, name),
      TAPELINE_TEST_SAMPLE_MS: String(sampleEveryMs),
      TAPELINE_TEST_COLLECTS_AT: secondsAt(forMs),
      TAPELINE_LOG_LEVEL: 'info',
      ...(snapshots !== undefined && {
        TAPELINE_TEST_SNAPSHOTS: join(snapshots, name),
        TAPELINE_TEST_SNAPSHOTS_AT: secondsAt(forMs),
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

/** Since the start of a process: what it does before all is quiet takes some seconds more. */
const secondsAt = (forMs: number): string => AT.map((part) => (forMs * part) / 1_000).join()

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
): Promise<ReadonlyMap<string, IdleProcess>> {
  const all = new Map<string, IdleProcess>()
  const end = performance.now() + forMs
  while (performance.now() < end) {
    await delay(Math.max(1, Math.min(ASK_EVERY_MS, end - performance.now())), undefined, { signal })
    for (const name of cluster.names) {
      const former = all.get(name) ?? { samples: [], asked: 0, heldUp: 0 }
      const isHeldUp = await askOperations(await cluster.process(name).api())
      const samples = await readSamples(samplesOf(cluster.folder, name))
      for (const sample of samples.slice(former.samples.length)) onSample(name, sample)
      all.set(name, { samples, asked: former.asked + 1, heldUp: former.heldUp + Number(isHeldUp) })
    }
  }
  return all
}

/** Asks as Prometheus and Kubernetes do; gives whether the process was held up. */
async function askOperations(api: string): Promise<boolean> {
  const readiness = await fetch(`${api}/readyz`)
  await readiness.text()
  // Who was held up may say for a moment that it is not ready.
  if (!readiness.ok && readiness.status !== 503) throw new Error(`GET ${api}/readyz: ${readiness.status}`)
  const metrics = await fetch(`${api}/metrics`)
  const text = await metrics.text()
  if (!metrics.ok) throw new Error(`GET ${api}/metrics: ${metrics.status}`)
  const delay = Number(/^tapeline_event_loop_delay_seconds.* ([\d.e-]+)$/m.exec(text)?.[1])
  if (Number.isNaN(delay)) throw new Error(`GET ${api}/metrics: no event_loop_delay_seconds`)
  return delay > HELD_UP_S || !readiness.ok
}
