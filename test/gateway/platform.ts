import type { TestContext } from 'node:test'
import { TupleMemory } from '../../src/adapters/store/tuple-memory.ts'
import { createEventStreamEndpoint } from '../../src/adapters/transport/server-sent-events.ts'
import { createWebSocketEndpoint } from '../../src/adapters/transport/websocket.ts'
import type { Market, MarketQuery } from '../../src/domain/markets.ts'
import type { StreamWarning } from '../../src/domain/offer.ts'
import { TapelineError } from '../../src/errors.ts'
import { type Gateway, type GatewayOptions, startGateway } from '../../src/gateway/gateway.ts'
import type { ActorDirectory, PlacedActor, PlacedAlert } from '../../src/ports/actors.ts'
import type { Backfills } from '../../src/ports/backfills.ts'
import type { BookNow, Books } from '../../src/ports/books.ts'
import type {
  Broker,
  PartitionFetch,
  ReadPosition,
  StoredRecord,
  TopicDescription,
} from '../../src/ports/broker.ts'
import type { DeadLetterContent, DeadLetterFilter, DeadLetters } from '../../src/ports/dead-letters.ts'
import type { Delivery, SlowChoice } from '../../src/ports/delivery.ts'
import type { IssuedKey, KeyDesk } from '../../src/ports/keys.ts'
import type { CandleQuery, RowQuery, Store } from '../../src/ports/store.ts'
import type { Lease, StreamDesk } from '../../src/ports/streams.ts'
import type { AppEndpoint } from '../../src/ports/transport.ts'
import type { Webhook, WebhookDesk, WebhookRequest } from '../../src/ports/webhooks.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { createTransitionHub, type TransitionHub } from '../../src/telemetry/transition-hub.ts'
import { drawLive } from '../../src/topology/live-diagrams.ts'
import { NAMES } from '../names.ts'

/** What a part that no test of the gateway may touch does. */
function untouched(): never {
  throw new Error('the gateway must not call this')
}

type Ask = Parameters<StreamDesk['request']>[0]

/** Leases in memory. `onRequest` may hold a request up or refuse it. */
class MemoryDesk implements StreamDesk {
  readonly leases = new Map<string, Lease>()
  readonly ended: { id: string; app: string }[] = []
  onRequest: (ask: Ask, signal: AbortSignal) => Promise<void> = async () => {}

  async request(ask: Ask, signal: AbortSignal): Promise<Lease> {
    await this.onRequest(ask, signal)
    return this.add(ask.leaseId, ask.app, ask)
  }

  add(id: string, app: string, { spec, ttlMs }: Pick<Ask, 'spec' | 'ttlMs'> = ANY_TRADES): Lease {
    const createdAt = Date.parse('2026-02-03T04:05:06Z')
    const topic = { topic: `app.${id}`, topicId: `T-${id}`, opensTopic: false }
    const lease = { id, app, spec, ttlMs, ...topic, createdAt, standing: false }
    this.leases.set(id, lease)
    return lease
  }

  async move({ leaseId, spec, ttlMs }: Ask): Promise<Lease> {
    const lease = this.leases.get(leaseId)
    if (lease === undefined) throw new TapelineError('STREAM_UNKNOWN', `there is no stream ${leaseId}`)
    this.leases.set(leaseId, { ...lease, spec, ttlMs, topic: `app.${leaseId}-moved` })
    return this.leases.get(leaseId) ?? lease
  }

  async end(id: string, app: string): Promise<void> {
    this.ended.push({ id, app })
    if (!this.leases.delete(id)) throw new TapelineError('STREAM_UNKNOWN', `there is no stream ${id}`)
  }

  list(app?: string): readonly Lease[] {
    return [...this.leases.values()].filter((lease) => app === undefined || lease.app === app)
  }

  get(id: string): Lease | undefined {
    return this.leases.get(id)
  }

  async find(id: string): Promise<Lease | undefined> {
    return this.get(id)
  }

  readonly read = new Map<string, number>()

  lastReadAt(id: string): number | undefined {
    return this.read.get(id)
  }

  noteRead = untouched
  readonly missing: StreamWarning[] = []

  warnings(): readonly StreamWarning[] {
    return this.missing
  }

  /** What producers ask for; undefined: they do not say. */
  asked: ReadonlySet<string> | undefined

  markets(): ReadonlySet<string> | undefined {
    return this.asked
  }

  reading = untouched
  watch = untouched
}

const ANY_TRADES = { spec: { channel: 'trade', symbols: ['*'], exchanges: [] }, ttlMs: 60_000 } as const

/** Answers every subscribe as the real one does, refuses a stream or a cursor called `refused`, and keeps the endpoints for the test to write to. */
class MemoryDelivery implements Delivery {
  readonly connections: { app: string; endpoint: AppEndpoint; streams: Set<string>; closed: boolean }[] = []
  readonly cursors: (string | undefined)[] = []
  readonly slow: (SlowChoice | undefined)[] = []
  /** Whether it says nothing of what is subscribed. */
  isSilent = false

  connect(app: string, endpoint: AppEndpoint) {
    const connection = { app, endpoint, streams: new Set<string>(), closed: false }
    this.connections.push(connection)
    return {
      subscribe: (stream: string, cursor?: string, slow?: SlowChoice) => {
        this.cursors.push(cursor)
        this.slow.push(slow)
        const code =
          stream === 'refused' ? 'STREAM_UNKNOWN' : cursor === 'refused' ? 'CURSOR_INVALID' : undefined
        if (code !== undefined) return endpoint.send({ op: 'error', stream, code, message: 'refused' })
        connection.streams.add(stream)
        if (this.isSilent) return
        endpoint.send({ op: 'subscribed', stream, topic: `app.${stream}`, cursor: cursor ?? 'start' })
      },
      unsubscribe: (stream: string) => {
        connection.streams.delete(stream)
      },
      close: () => {
        connection.closed = true
      },
    }
  }
}

/** Topics in memory, each partition an array of records. */
class MemoryBroker implements Broker {
  readonly topics = new Map<string, { description: TopicDescription; records: StoredRecord[] }>()
  readonly #appended = new Set<() => void>()
  openReaders = 0
  /** Offsets whose batch of one record nobody can read. */
  readonly spoilt = new Set<number>()

  add(name: string, records: readonly StoredRecord[], { earliest = 0, partitions = 1 } = {}): void {
    const offsets = Array.from({ length: partitions }, () => ({ earliest, end: earliest }))
    const description = { name, id: `T-${name}`, partitions, compacted: false, retentionMs: 60_000, offsets }
    this.topics.set(name, { description, records: [] })
    this.append(name, ...records)
  }

  append(name: string, ...records: readonly StoredRecord[]): void {
    const topic = this.topics.get(name)
    if (topic === undefined) throw new Error(`no topic ${name}`)
    topic.records.push(...records)
    const [first, ...others] = topic.description.offsets
    const end = (topic.records.at(-1)?.offset ?? (first?.earliest ?? 0) - 1) + 1
    topic.description = {
      ...topic.description,
      offsets: [{ earliest: first?.earliest ?? 0, end }, ...others],
    }
    for (const wake of this.#appended) wake()
  }

  async listTopics(prefix: string): Promise<readonly TopicDescription[]> {
    return [...this.topics.values()]
      .map(({ description }) => description)
      .filter(({ name }) => name.startsWith(prefix))
  }

  async describeTopics(names: readonly string[]): Promise<readonly TopicDescription[]> {
    return names.flatMap((name) => this.topics.get(name)?.description ?? [])
  }

  async topicIds(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return new Map((await this.describeTopics(names)).map(({ name, id }) => [name, id]))
  }

  async openReader() {
    this.openReaders++
    let at: ReadPosition | undefined
    return {
      assign: async ([position]: readonly ReadPosition[]) => {
        at = position
      },
      unassign: untouched,
      poll: async ({ maxRecords, waitMs }: { maxRecords: number; waitMs: number }, signal: AbortSignal) => {
        if (at === undefined) return []
        if (this.#after(at, maxRecords).length === 0 && waitMs > 0) await this.#wait(waitMs, signal)
        const { topic, partition, offset } = at
        const found = this.#after(at, maxRecords)
        const end = found.findIndex((record) => this.spoilt.has(record.offset))
        const records = end < 0 ? found : found.slice(0, end)
        const nextOffset = (records.at(-1)?.offset ?? offset - 1) + 1
        at = { ...at, offset: nextOffset }
        const { id, offsets } = this.topics.get(topic)?.description ?? untouched()
        const endOffset = offsets[partition]?.end ?? 0
        const fetch: PartitionFetch = {
          kind: 'records',
          topic,
          topicId: id,
          partition,
          records,
          nextOffset,
          endOffset,
        }
        if (end < 0) return records.length > 0 ? [fetch] : []
        at = { ...at, offset: nextOffset + 1 }
        const place = {
          topic,
          topicId: id,
          partition,
          endOffset,
          offset: nextOffset,
          nextOffset: nextOffset + 1,
        }
        const unreadable = {
          kind: 'undecodable',
          ...place,
          bytes: Buffer.from('x'),
          reason: 'spoilt',
        } as const
        return records.length > 0 ? [fetch, unreadable] : [unreadable]
      },
      close: async () => {
        this.openReaders--
      },
    }
  }

  #after({ topic, partition, offset }: ReadPosition, limit: number): readonly StoredRecord[] {
    if (partition > 0) return []
    return (this.topics.get(topic)?.records ?? []).filter((record) => record.offset >= offset).slice(0, limit)
  }

  #wait(millis: number, signal: AbortSignal): Promise<void> {
    const appended = Promise.withResolvers<void>()
    const timer = setTimeout(appended.resolve, millis)
    const abort = () => appended.reject(signal.reason)
    signal.addEventListener('abort', abort)
    this.#appended.add(appended.resolve)
    return appended.promise.finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      this.#appended.delete(appended.resolve)
    })
  }

  createTopics = untouched
  deleteTopics = untouched
  offsetAt = untouched
  publish = untouched
  takeOver = untouched
  joinGroup = untouched
  ping = untouched
  close = untouched
}

/** Remembers what was asked, and gives what the test put in. */
export class MemoryStore implements Store {
  readonly lanes = 1
  readonly chunkMicros = 3_600_000_000
  readonly rowMemory = () => new TupleMemory()
  readonly asked: (RowQuery | CandleQuery | string)[] = []
  onQuery: (sql: string, signal: AbortSignal) => Promise<void> = async () => {}

  async trades(query: RowQuery, _signal: AbortSignal) {
    this.asked.push(query)
    const { symbol } = query
    const [ts, recvTs] = ['2026-01-01T00:00:00.000001Z', '2026-01-01T00:00:00.000002Z']
    return [{ exchange: 'kraken', symbol, id: '7', side: 'buy', price: 1.5, size: 2, ts, recvTs }]
  }

  async quotes(query: RowQuery) {
    this.asked.push(query)
    const [ts, recvTs] = ['2026-01-01T00:00:00.000001Z', '2026-01-01T00:00:00.000002Z']
    const sizes = { bidSize: 3, askSize: null, last: null, volume24h: null }
    return [{ exchange: 'kraken', symbol: query.symbol, bid: 1.5, ask: 2, ...sizes, ts, recvTs }]
  }

  async candles(query: CandleQuery) {
    this.asked.push(query)
    const { symbol, interval, origin } = query
    const prices = { open: 1, high: 4, low: 0.5, close: 2, volume: 9, trades: null }
    return [{ exchange: 'kraken', symbol, interval, origin, ts: '2026-01-01T00:00:00.000000Z', ...prices }]
  }

  readonly marketsAsked: MarketQuery[] = []

  async markets(query: MarketQuery): Promise<readonly Market[]> {
    this.marketsAsked.push(query)
    const [first, last] = ['2026-01-01T00:00:00.000001Z', '2026-02-01T00:00:00.000001Z']
    return [{ exchange: 'kraken', symbol: 'BTC-USD', first, last, trades: 12_000, listing: null }]
  }

  async query(sql: string, _options: object, signal: AbortSignal) {
    this.asked.push(sql)
    await this.onQuery(sql, signal)
    // It holds no gaps.
    if (sql.includes('from status')) return { columns: [], rows: [] }
    return { columns: ['n'], rows: [{ n: '9007199254740993' }] }
  }

  migrate = untouched
  claim = untouched
  write = untouched
  tendJobs = untouched
  ping = untouched
  close = untouched
}

/** One actor in `error`, that can be reset. */
export class MemoryActors implements ActorDirectory {
  readonly resets: string[] = []
  readonly reports: PlacedActor[] = [
    {
      id: 'producer-0',
      instance: 'here',
      machine: 'producer',
      state: 'error',
      since: '2026-01-01T00:00:00.000Z',
      restarts: 1,
      errorInfo: {
        code: 'SOURCE_UNAVAILABLE',
        message: 'no way delivers',
        step: 'fetchingData',
        attempt: 3,
        retryable: true,
        since: 1,
      },
      context: { batch: 0 },
    },
  ]

  list(): readonly PlacedActor[] {
    return this.reports
  }

  async reset(id: string): Promise<void> {
    if (!this.reports.some((report) => report.id === id))
      throw new TapelineError('ACTOR_UNKNOWN', `no actor ${id}`)
    this.resets.push(id)
  }
}

/** Books by `EXCHANGE:SYMBOL`, or what is wrong with them. */
class MemoryBooks implements Books {
  readonly known = new Map<string, BookNow | TapelineError>()

  async read({ exchange, symbol }: { exchange: string; symbol: string }): Promise<BookNow> {
    const found =
      this.known.get(`${exchange}:${symbol}`) ?? new TapelineError('BOOK_UNKNOWN', 'there is none')
    if (found instanceof TapelineError) throw found
    return found
  }
}

/** Letters that the test put in, and what was asked of them. */
class MemoryDeadLetters implements DeadLetters {
  readonly letters: DeadLetterContent[] = []
  readonly asked: unknown[] = []

  async list(filter: DeadLetterFilter, page: object) {
    this.asked.push([filter, page])
    return { letters: this.letters, total: this.letters.length, next: 7 }
  }

  async get(id: string) {
    const letter = this.letters.find((each) => each.id === id)
    if (letter === undefined) throw new TapelineError('DEAD_LETTER_UNKNOWN', `there is no dead letter ${id}`)
    return letter
  }

  async reenter(ids: readonly string[]) {
    this.asked.push(ids)
    return ids.map((id) => ({ id, outcome: 'replayed' as const }))
  }

  async reenterMatching(filter: DeadLetterFilter, page: object) {
    this.asked.push([filter, page])
    return { results: [], next: null }
  }
}

/** Webhooks in memory, with what was asked for. */
class MemoryWebhooks implements WebhookDesk {
  readonly webhooks = new Map<string, Webhook>()
  readonly asked: WebhookRequest[] = []

  async create(id: string, request: WebhookRequest): Promise<Webhook> {
    this.asked.push(request)
    const { secret: _secret, cursor: _cursor, ...rest } = request
    const createdAt = Date.parse('2026-02-03T04:05:06Z')
    const webhook = { ...rest, id, createdAt, state: 'active', failure: null, deliveredAt: null } as const
    this.webhooks.set(id, webhook)
    return webhook
  }

  async change(id: string, app: string, change: 'pause' | 'resume' | 'end'): Promise<void> {
    const webhook = this.webhooks.get(id)
    if (webhook?.app !== app) throw new TapelineError('WEBHOOK_UNKNOWN', `there is no webhook ${id}`)
    if (change === 'end') this.webhooks.delete(id)
    else this.webhooks.set(id, { ...webhook, state: change === 'pause' ? 'paused' : 'active' })
  }

  async list(app: string | undefined): Promise<readonly Webhook[]> {
    return [...this.webhooks.values()].filter((each) => app === undefined || each.app === app)
  }

  async find(id: string): Promise<Webhook | undefined> {
    return this.webhooks.get(id)
  }

  ownerOf(id: string): string | undefined {
    return this.webhooks.get(id)?.app
  }
}

class MemoryKeys implements KeyDesk {
  readonly keys = new Map<string, IssuedKey>()

  async create(key: Pick<IssuedKey, 'id' | 'digest' | 'app' | 'scopes' | 'quotas'>): Promise<IssuedKey> {
    const issued = { ...key, createdAt: Date.parse('2026-02-03T04:05:06Z'), revokedAt: null }
    this.keys.set(key.id, issued)
    return issued
  }

  async revoke(id: string): Promise<void> {
    const key = this.keys.get(id)
    if (key === undefined) throw new TapelineError('KEY_UNKNOWN', `there is no key ${id}`)
    this.keys.set(id, { ...key, revokedAt: Date.parse('2026-02-03T05:05:06Z') })
  }

  list(): readonly IssuedKey[] {
    return [...this.keys.values()]
  }

  find(digest: string): IssuedKey | undefined {
    return this.list().find((key) => key.digest === digest)
  }

  get(id: string): IssuedKey | undefined {
    return this.keys.get(id)
  }
}

export interface Platform {
  readonly gateway: Gateway
  readonly desk: MemoryDesk
  readonly delivery: MemoryDelivery
  readonly webhooks: MemoryWebhooks
  readonly issuedKeys: MemoryKeys
  readonly broker: MemoryBroker
  readonly store: MemoryStore
  readonly actors: MemoryActors
  readonly transitions: TransitionHub
  readonly deadLetters: MemoryDeadLetters
  readonly books: MemoryBooks
  readonly alerts: PlacedAlert[]
  readonly checks: { name: string; ok: boolean; detail: string }[]
  /** Every line logged, down to debug. */
  readonly logged: string[]
  readonly metrics: () => Promise<string>
  /** http://127.0.0.1:PORT */
  readonly url: string
}

/** A gateway on a port of its own, over ports in memory; it is closed when the test ends. */
export async function startPlatform(
  context: Pick<TestContext, 'after'>,
  overrides: Partial<
    Pick<GatewayOptions, 'keys' | 'host' | 'port' | 'tls' | 'origins' | 'store' | 'backfills'>
  > = {},
): Promise<Platform> {
  const logged: string[] = []
  const meter = createMeter()
  const parts = {
    desk: new MemoryDesk(),
    delivery: new MemoryDelivery(),
    webhooks: new MemoryWebhooks(),
    issuedKeys: new MemoryKeys(),
    broker: new MemoryBroker(),
    store: new MemoryStore(),
    actors: new MemoryActors(),
    transitions: createTransitionHub('here'),
    deadLetters: new MemoryDeadLetters(),
    backfills: { step: async () => ({ count: 0, since: 0, next: null }) } satisfies Backfills,
    books: new MemoryBooks(),
    alerts: [] as PlacedAlert[],
    checks: [{ name: 'producer', ok: true, detail: 'producer at 10.0.0.1' }],
    metrics: () => meter.render(),
  }
  const gateway = await startGateway({
    host: '127.0.0.1',
    port: 0,
    tls: undefined,
    origins: [],
    maxRowStreams: 3,
    maxSockets: 1_000,
    keys: [],
    dynamicPrefix: 'app.',
    fixedTopics: NAMES.fixed,
    webhookSender: {
      newSecret: () => 'whsec_c2VjcmV0',
      check: async (address) => {
        if (address.includes('inside')) throw new TapelineError('WEBHOOK_ADDRESS_REFUSED', 'not there')
      },
    },
    topics: { unknown: async () => [], remove: async () => untouched() },
    ...parts,
    alerts: () => parts.alerts,
    diagram: drawLive,
    ready: () => ({ ready: parts.checks.every(({ ok }) => ok), checks: parts.checks }),
    info: { version: '1.2.3<b>' },
    log: createLog({ level: 'debug', sink: { write: (line) => logged.push(line) } }),
    meter,
    endpoint: createWebSocketEndpoint,
    eventEndpoint: createEventStreamEndpoint,
    ...overrides,
  })
  context.after(() => gateway.close())
  return { ...parts, gateway, logged, url: `http://127.0.0.1:${gateway.port}` }
}
