import { type Cluster, openCluster, startAll } from '../e2e/servers/cluster.ts'
import { ResumingClient } from '../e2e/servers/resuming-client.ts'
import { startTcpProxy, type TcpProxy } from '../servers/tcp-proxy.ts'

/** Six processes: each role runs in two of them. */
const ROLES = {
  'producer-1': 'producer',
  'producer-2': 'producer',
  'consumer-1': 'consumer-fixed',
  'consumer-2': 'consumer-fixed',
  'gateway-1': 'coordinator,gateway',
  'gateway-2': 'coordinator,gateway',
}
const GATEWAYS = ['gateway-1', 'gateway-2'] as const

/** The platform beside the first: its prefixes, and how the names of its processes and applications begin. */
const SECOND = {
  prefixes: { prefix: 'second-market', dynamicPrefix: 'second-app', controlPrefix: 'second' },
  mark: 'second-',
}

/** What the applications ask for: each something else. */
const SPECS: readonly { readonly symbols: readonly string[]; readonly exchanges?: readonly string[] }[] = [
  { symbols: ['*'] },
  ...['coinbase', 'kraken', 'bitstamp', 'binance'].map((exchange) => ({
    symbols: ['*'],
    exchanges: [exchange],
  })),
  { symbols: ['*'], exchanges: ['coinbase', 'kraken'] },
  ...['BTC-*', 'ETH-*', 'XRP-*', 'SOL-*', 'DOGE-*', 'BTC-USD', 'ETH-USD', 'BTC-EUR', 'BTC-USDT'].map(
    (symbol) => ({ symbols: [symbol] }),
  ),
  { symbols: ['BTC-*', 'ETH-*'] },
  { symbols: ['BTC-*'], exchanges: ['coinbase'] },
  { symbols: ['BTC-*'], exchanges: ['kraken'] },
  { symbols: ['ETH-*'], exchanges: ['binance'] },
  { symbols: ['BTC-USD', 'ETH-USD'], exchanges: ['bitstamp'] },
]

/** So many of the applications come in the middle of everything. */
const LATE = 4
const OPEN_MS = 120_000

export interface WorldOptions {
  readonly seed: number
  readonly rate: number
  readonly postgresBinaries?: string
  readonly brokers: 1 | 3
  /** The platform whose servers it shares; none by default. */
  readonly beside?: World
  readonly onUnexpectedEnd: (name: string, how: number | NodeJS.Signals | null) => void
}

/** A platform that faults are put upon: servers, processes, and applications over both gateways. */
export interface World {
  readonly cluster: Cluster
  /** The processes that serve applications. */
  readonly gateways: readonly string[]
  /** Between the applications and the gateways. */
  readonly gatewayLinks: readonly TcpProxy[]
  /** Those that read. */
  readonly clients: readonly ResumingClient[]
  /** How many are still to come. */
  readonly late: number
  /** Lets one more come: it asks for its stream until it is given, for so long at most. */
  readonly openLate: (patienceMs: number) => Promise<void>
  readonly close: (options: { readonly keep: boolean }) => Promise<void>
}

/** Starts everything, and waits until the first applications read. */
export async function openWorld(options: WorldOptions): Promise<World> {
  const { postgresBinaries, beside, ...others } = options
  const mark = beside === undefined ? '' : SECOND.mark
  const gateways = GATEWAYS.map((name) => mark + name)
  const cluster = await openCluster({
    ...others,
    ...(beside && { beside: { cluster: beside.cluster, prefixes: SECOND.prefixes } }),
    roles: Object.fromEntries(Object.entries(ROLES).map(([name, roles]) => [mark + name, roles])),
    environment: { TAPELINE_LOG_LEVEL: 'info', TAPELINE_ALERTS_AFTER: '10s' },
    ...(postgresBinaries !== undefined && { postgresBinaries }),
  })
  const gatewayLinks: TcpProxy[] = []
  const clients: ResumingClient[] = []
  const close = async ({ keep }: { keep: boolean }): Promise<void> => {
    await Promise.all(clients.map((client) => client.close()))
    await Promise.all(gatewayLinks.map((link) => link.close()))
    await cluster.close({ keep })
  }
  try {
    await startAll(cluster)
    for (const name of gateways)
      gatewayLinks.push(await startTcpProxy({ target: { port: Number(new URL(cluster.api(name)).port) } }))
    const apis = gatewayLinks.map(({ port }) => `http://127.0.0.1:${port}`)
    const all = SPECS.map(
      (spec, i) => new ResumingClient(`${mark}client-${i + 1}`, apis, { channel: 'trade', ...spec }, i),
    )
    const open = async (client: ResumingClient, patienceMs = OPEN_MS): Promise<void> => {
      await client.open(AbortSignal.timeout(patienceMs))
      clients.push(client)
    }
    const late = all.splice(-LATE)
    await Promise.all(all.map((client) => open(client)))
    return {
      ...{ cluster, gateways, gatewayLinks, clients, close },
      get late() {
        return late.length
      },
      async openLate(patienceMs) {
        const client = late.shift()
        if (client !== undefined) await open(client, patienceMs)
      },
    }
  } catch (error) {
    await close({ keep: true })
    throw new Error(`it did not begin (logs: ${cluster.logs}): ${String(error)}`, { cause: error })
  }
}
