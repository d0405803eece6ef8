import { ArrivalQueue } from '../../src/adapters/source/feed/arrival-queue.ts'
import { marketSubscribed, status } from '../../src/adapters/source/feed/status.ts'
import {
  type GapCause,
  type MarketEvent,
  marketKey,
  type Quote,
  type StatusState,
  type Trade,
} from '../../src/domain/events.ts'
import { TapelineError } from '../../src/errors.ts'
import type { ConnectionChange, Market, Source, SourceItem } from '../../src/ports/source.ts'
import { exponential } from '../../src/simulator/random.ts'
import { type Host, runAs } from './clock.ts'
import type { Surroundings } from './link.ts'

export const EXCHANGE = 'x'
/** The source gives the last trades of a market again when it is subscribed. */
const REPEATED = 5
/** What the exchange sends to a process that stands still, before it cuts the connection. */
const MOST_UNREAD = 60
const LATENCY_MS = 2
const RECONNECT_MS = 800
/** The source waits so many times longer than it is asked to before it gives nothing: machines that idle cost most of a run. */
const PATIENCE = 8
/** How much a connection holds while nobody pulls. */
const QUEUE_CAPACITY = 100_000

/** An event that a connection handed to the source of a process. */
export interface Handed {
  readonly host: Host
  readonly item: MarketEvent
  readonly at: number
}

/** An exchange that trades by itself, keeps a ledger, and is watched over one connection a process. */
export class Exchange {
  readonly markets: readonly Market[]
  readonly ledger: Trade[] = []
  readonly handed: Handed[] = []
  /** By market, since when somebody has watched it first, in microseconds. */
  readonly watchedSince = new Map<string, number>()
  readonly #around: Surroundings
  readonly #feeds = new Set<Feed>()
  #isTrading = false
  #quotes = 0

  constructor(around: Surroundings, markets: readonly Market[]) {
    this.#around = around
    this.markets = markets
  }

  /** Trades and quotes in all markets from now on, so many a second in all. */
  start(rate: number): void {
    this.#isTrading = true
    this.#next(rate)
  }

  stop(): void {
    this.#isTrading = false
  }

  /** Many trades at once. */
  burst(count: number): void {
    for (let i = 0; i < count; i++) this.#trade()
  }

  connect(host: Host): Feed {
    const feed = new Feed(this, this.#around, host, () => void this.#feeds.delete(feed))
    this.#feeds.add(feed)
    return feed
  }

  /** The last trades of a market, the oldest first. */
  lastTrades(market: string): Trade[] {
    return this.ledger.filter((trade) => marketKey(trade) === market).slice(-REPEATED)
  }

  #next(rate: number): void {
    const { clock, random } = this.#around
    clock.after(undefined, (1_000 * exponential(random)) / rate, () => {
      if (!this.#isTrading) return
      if (random() < 0.7) this.#trade()
      else this.#quote()
      this.#next(rate)
    })
  }

  #market(): Market {
    // The first is traded most.
    const { random } = this.#around
    const at = Math.floor(random() * random() * this.markets.length)
    return this.markets[at] as Market
  }

  #trade(): void {
    const { clock, random } = this.#around
    const market = this.#market()
    const ts = Math.round(clock.now * 1_000)
    const id = String(1_000 + this.ledger.length)
    const trade: Trade = {
      ...market,
      id,
      side: random() < 0.5 ? 'buy' : 'sell',
      price: 100,
      size: 1,
      ts,
      recvTs: ts,
    }
    this.ledger.push(trade)
    this.#send({ channel: 'trade', event: trade })
  }

  #quote(): void {
    const ts = Math.round(this.#around.clock.now * 1_000)
    const event: Quote = { ...this.#market(), bid: ++this.#quotes, ask: this.#quotes + 1, ts, recvTs: ts }
    this.#send({ channel: 'quote', event })
  }

  #send(item: MarketEvent): void {
    for (const feed of this.#feeds) feed.offer(item)
  }
}

/** The connection of one process to the exchange, with the source that reads it. */
export class Feed {
  readonly host: Host
  readonly source: Source
  readonly #exchange: Exchange
  readonly #around: Surroundings
  readonly #onClosed: () => void
  readonly #queue: ArrivalQueue
  readonly #wanted = new Map<string, Market>()
  /** Rises with each connection: what belongs to a former one does not arrive. */
  #connection = 0
  #isConnected = false
  #lastArrival = 0
  #unread = 0

  constructor(exchange: Exchange, around: Surroundings, host: Host, onClosed: () => void) {
    this.#exchange = exchange
    this.#around = around
    this.host = host
    this.#onClosed = onClosed
    this.#queue = new ArrivalQueue({
      capacity: QUEUE_CAPACITY,
      hole: (dropped) => this.#change('overflow', `${dropped} items were dropped`, 'overflow'),
    })
    this.source = this.#createSource()
  }

  /** The exchange has something for all who watch its market. */
  offer(item: MarketEvent): void {
    const { event } = item
    if (!this.#isConnected || !this.#wanted.has(marketKey(event))) return
    if (this.#unread >= MOST_UNREAD) this.cut('too slow')
    else this.#arrive(item)
  }

  /** The connection breaks; the source connects again by itself. */
  cut(why: string): void {
    if (!this.#isConnected) return
    const { clock, trace } = this.#around
    trace.add(this.host.name, `the source lost its connection: ${why}`)
    this.#isConnected = false
    const lost = ++this.#connection
    clock.after(this.host, LATENCY_MS, () => {
      // Who asked for a market meanwhile has brought it a new connection.
      if (this.#connection !== lost) return
      this.#queue.push(this.#change('disconnected', why))
      this.#queue.fail(new TapelineError('SOURCE_UNAVAILABLE', 'the exchange is away'))
      this.#connectLater()
    })
  }

  #connectLater(): void {
    const { clock, random } = this.#around
    clock.after(this.host, RECONNECT_MS * (0.5 + random()), () => this.#connect())
  }

  #connect(): void {
    if (this.#isConnected || this.#wanted.size === 0) return
    this.#isConnected = true
    this.#connection++
    this.#unread = 0
    this.#queue.fail(undefined)
    this.#queue.push({ ...this.#change('connected', 'a new connection'), mayHaveMissed: true })
    for (const market of this.#wanted.keys()) this.#repeat(market)
  }

  #repeat(market: string): void {
    const { watchedSince } = this.#exchange
    if (!watchedSince.has(market)) watchedSince.set(market, this.#micros())
    for (const event of this.#exchange.lastTrades(market)) this.#arrive({ channel: 'trade', event })
  }

  /** In order, some milliseconds later. */
  #arrive(item: SourceItem & MarketEvent): void {
    const { clock } = this.#around
    const connection = this.#connection
    this.#unread++
    this.#lastArrival = Math.max(this.#lastArrival, clock.now + LATENCY_MS * (0.5 + this.#around.random()))
    clock.after(this.host, this.#lastArrival - clock.now, () => {
      if (connection !== this.#connection) return
      this.#unread--
      this.#queue.push(item)
      this.#exchange.handed.push({ host: this.host, item, at: clock.now })
    })
  }

  /** Nothing is wanted of it: it has no connection, and nothing is wrong with that. */
  #rest(): void {
    this.#isConnected = false
    this.#connection++
    this.#queue.fail(undefined)
  }

  #change(state: StatusState, detail: string, cause?: GapCause): ConnectionChange {
    const about = status(EXCHANGE, this.#micros(), state, detail)
    return { channel: 'connection', status: about, ...(cause && { mayHaveMissed: true, cause }) }
  }

  #micros(): number {
    return Math.round(this.#around.clock.now * 1_000)
  }

  #createSource(): Source {
    const subscribe: Source['subscribe'] = (markets) => {
      for (const market of markets) {
        const key = marketKey(market)
        if (this.#wanted.has(key)) continue
        this.#wanted.set(key, market)
        if (!this.#isConnected) continue
        this.#queue.push(marketSubscribed(EXCHANGE, this.#micros(), market))
        this.#repeat(key)
      }
      if (!this.#isConnected) this.#connectLater()
    }
    return {
      name: EXCHANGE,
      ended: false,
      next: async (options, signal) => {
        const waitMs = options.waitMs * PATIENCE
        return { items: await this.#queue.next({ ...options, waitMs }, signal) }
      },
      subscribe,
      unsubscribe: (markets) => {
        for (const market of markets) this.#wanted.delete(marketKey(market))
        if (this.#wanted.size === 0) this.#rest()
      },
      health: () => ({
        ...{ name: EXCHANGE, way: this.#isConnected ? 'websocket' : 'none', markets: this.#wanted.size },
        counters: {
          frames: 0,
          malformed: 0,
          duplicates: 0,
          outOfOrder: 0,
          reconnects: 0,
          conflated: 0,
          dropped: 0,
          bookDoubts: 0,
          bookResyncs: 0,
        },
        without: [],
      }),
      close: async () => {
        this.#onClosed()
        runAs(this.host, () => this.#queue.finish())
      },
    }
  }

  /** The process is gone. */
  drop(): void {
    this.#isConnected = false
    this.#connection++
    this.#onClosed()
  }
}
