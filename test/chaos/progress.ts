import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { shardOf } from '../../src/domain/events.ts'
import { marketOf } from '../e2e/ledger.ts'
import type { World } from './world.ts'

const LOOK_EVERY_MS = 300
const QUERY_MS = 2_000
/** The default of `topics.partitions`. */
const PARTITIONS = 4

/** What a fault cost: after how many ms everything had moved on to trades of after its begin. */
export interface Cost {
  /** In the rows of each shard. */
  rowsMs?: number
  /** At each application that read by then. */
  clientsMs?: number
  /** The application that was last. */
  slowest?: string
}

interface Watch {
  readonly since: number
  readonly cost: Cost
  readonly clients: readonly string[]
  readonly onKnown: (cost: Cost) => void
}

/** Looks again and again how far rows and applications of platforms are. */
export class Progress {
  readonly #worlds: readonly World[]
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #watches: Watch[] = []
  readonly #connections = new Map<World, pg.Client>()
  /** Event time of the newest row of each shard, in ms; the database may be away, then it is the last known. */
  readonly #rows: ReadonlyMap<World, number[]>

  constructor(worlds: readonly World[]) {
    this.#worlds = worlds
    this.#rows = new Map(worlds.map((world) => [world, Array<number>(PARTITIONS).fill(0)]))
    this.#running = this.#run()
  }

  /** Event time in ms up to which the rows of every shard have come. */
  get rows(): number {
    return Math.min(...[...this.#rows.values()].flat())
  }

  /** Event time in ms up to which every application has come. */
  get clients(): number {
    return Math.min(...this.#clients.map(({ newest }) => newest / 1_000))
  }

  get #clients(): World['clients'] {
    return this.#worlds.flatMap(({ clients }) => clients)
  }

  /** Measures what happens from now on costs; `onKnown` is called once it is known. */
  measure(onKnown: (cost: Cost) => void): Cost {
    const cost: Cost = {}
    const clients = this.#clients.map(({ name }) => name)
    this.#watches.push({ since: Date.now(), cost, clients, onKnown })
    return cost
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    for (const client of this.#connections.values()) await client.end().catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      for (const [world, newest] of this.#rows) await this.#lookAtRows(world, newest)
      this.#settle()
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  async #lookAtRows(world: World, newest: number[]): Promise<void> {
    try {
      const client = this.#connections.get(world) ?? (await connect(world.cluster.database))
      this.#connections.set(world, client)
      const { rows } = await client.query<{ exchange: string; symbol: string; newest: string }>(
        `select exchange, symbol, extract(epoch from max(ts)) * 1000 as newest from trades
         where ts > now() - interval '2 minutes' group by exchange, symbol`,
      )
      for (const row of rows) {
        const shard = shardOf(marketOf(row), PARTITIONS)
        newest[shard] = Math.max(newest[shard] ?? 0, Number(row.newest))
      }
    } catch {
      // The database is away or stands still, as it is meant to: what is known stays.
      const former = this.#connections.get(world)
      this.#connections.delete(world)
      void former?.end().catch(() => undefined)
    }
  }

  #settle(): void {
    const now = Date.now()
    const newest = new Map(this.#clients.map((client) => [client.name, client.newest / 1_000]))
    for (const { since, cost, clients } of this.#watches) {
      if (cost.rowsMs === undefined && this.rows >= since) cost.rowsMs = now - since
      if (cost.clientsMs !== undefined) continue
      const behind = clients.filter((name) => (newest.get(name) ?? 0) < since)
      if (behind.length === 0) cost.clientsMs = now - since
      else cost.slowest = behind.at(-1) ?? ''
    }
    const isKnown = ({ cost }: Watch): boolean => cost.rowsMs !== undefined && cost.clientsMs !== undefined
    for (const { cost, onKnown } of this.#watches.filter(isKnown)) onKnown(cost)
    this.#watches = this.#watches.filter((watch) => !isKnown(watch))
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    query_timeout: QUERY_MS,
    connectionTimeoutMillis: QUERY_MS,
  })
  // A connection that breaks also rejects the query under way.
  client.on('error', () => undefined)
  await client.connect()
  return client
}
