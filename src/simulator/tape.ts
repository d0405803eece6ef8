import { startTimer, type Timer } from '../async/timers.ts'
import type { WalkClock } from './clock.ts'
import { Distorter } from './distortion.ts'
import type { Feeds } from './feeds.ts'
import type { Ledger } from './ledger.ts'
import type { Market } from './market.ts'
import type { Misbehaviour } from './misbehaviour.ts'
import { seededRandom } from './random.ts'

/** What is due is emitted this often, in ms. */
const TICK = 4
/** The longest sleep when little is due. */
const LONGEST_SLEEP = 100
/** So many trades a tick at most, so that connections are served even when it is behind. */
const MOST_PER_TICK = 4_000
/** If it is this far behind, in ms, the time is taken out of the walk: the rate cannot be held. */
const MOST_BEHIND = 2_000
/** Markets that begin within the same quarter of a second of the walk begin together: their order hangs on the seed. */
const START_GRID = 250

export interface TapeOptions {
  readonly seed: number
  readonly feeds: Feeds
  readonly clock: WalkClock
  /** Trades in total; endless where it is not given. */
  readonly events: number | undefined
  readonly ledger: Ledger | undefined
  /** Tickers, candles, books and volumes are updated this often, in ms. */
  readonly quoteMillis: number
  /** Called after each tick: writes out what connections have got. */
  readonly flush: () => void
  /** Called once, when all trades have been emitted or the ledger cannot be written. */
  readonly onEnd: () => void
}

/** Emits the trades of all markets that have begun, at their times, and the updates that follow from them. */
export class Tape {
  readonly #options: TapeOptions
  readonly #distorter: Distorter
  #running: Market[] = []
  #timer: Timer | undefined
  #emitted = 0
  #lastTs = 0
  #updatedAt = Number.NEGATIVE_INFINITY
  #lostMillis = 0
  #ended = false
  #stopped = false
  misbehaviour: Misbehaviour

  constructor(options: TapeOptions, misbehaviour: Misbehaviour) {
    this.#options = options
    this.#distorter = new Distorter(seededRandom(`${options.seed} distortion`))
    this.misbehaviour = misbehaviour
    if (options.events === 0) this.#end()
  }

  get emitted(): number {
    return this.#emitted
  }

  /** Whether all trades asked for have been emitted. */
  get ended(): boolean {
    return this.#ended
  }

  get counts(): Readonly<Distorter['counts']> {
    return this.#distorter.counts
  }

  /** Virtual ms that the walk was behind and left out. */
  get lostMillis(): number {
    return this.#lostMillis
  }

  /** Begins a market's walk, if it has not begun. */
  start(market: Market): void {
    if (market.started) return
    const { clock, feeds } = this.#options
    clock.begin()
    market.start((Math.floor(clock.virtual / START_GRID) + 1) * START_GRID)
    this.#running = feeds.markets.filter((each) => each.started)
    this.#schedule()
  }

  /** Begins the updates of feeds, also of those that need no walk. */
  run(): void {
    if (this.#timer === undefined) this.#schedule()
  }

  /** Emits nothing more. */
  stop(): void {
    this.#stopped = true
    this.#timer?.stop()
  }

  #schedule(): void {
    this.#timer?.stop()
    if (this.#stopped) return
    const wait = this.#earliest().due - this.#options.clock.virtual
    this.#timer = startTimer(() => this.#tick(), Math.min(LONGEST_SLEEP, Math.max(TICK, wait)))
  }

  #tick(): void {
    const { clock, ledger, flush } = this.#options
    if (ledger?.failure) {
      this.#end()
      return
    }
    const virtual = clock.virtual
    if (!ledger?.full) this.#emitDue(virtual)
    const behind = virtual - this.#earliest().due
    if (behind > MOST_BEHIND) {
      clock.lose(behind)
      this.#lostMillis += behind
    }
    const done = this.#emitted === this.#options.events
    this.#distorter.release(virtual, done || !this.misbehaviour.distorts)
    if (done || virtual - this.#updatedAt >= this.#options.quoteMillis) this.#update(virtual)
    flush()
    if (done) this.#end()
    else this.#schedule()
  }

  #emitDue(virtual: number): void {
    const { clock, ledger, events = Number.POSITIVE_INFINITY, feeds } = this.#options
    const wall = clock.wall
    const last = Math.min(events, this.#emitted + MOST_PER_TICK)
    let lines = ''
    while (this.#emitted < last) {
      const { market, due } = this.#earliest()
      if (market === undefined || due > virtual) break
      // Never the same time twice over all markets, so that candles of aggregates see trades in order too.
      const ts = Math.max(this.#lastTs + 1, Math.floor(wall - (virtual - due) * 1000))
      this.#lastTs = ts
      const trade = market.trade(feeds.timeOf(market, ts))
      feeds.tell(market, trade, Math.max(wall, ts), (feed, frame) => {
        if (this.misbehaviour.distorts) this.#distorter.send(feed, frame, this.misbehaviour, virtual)
        else feed.broadcast(frame)
      })
      lines += market.ledgerLine(trade)
      this.#emitted++
    }
    if (lines !== '') ledger?.append(lines)
  }

  /** The market whose trade is due first. There are few markets: looking at each is as quick as a heap. */
  #earliest(): { readonly market: Market | undefined; readonly due: number } {
    let market: Market | undefined
    let due = Number.POSITIVE_INFINITY
    for (const each of this.#running) {
      if (each.walk.due >= due) continue
      market = each
      due = each.walk.due
    }
    return { market, due }
  }

  #update(virtual: number): void {
    const { feeds, clock } = this.#options
    this.#updatedAt = virtual
    feeds.update()
    if (this.misbehaviour.share('garbage') > 0) {
      for (const market of this.#running) feeds.trades(market).broadcast(this.#distorter.garbage())
    }
    // Candles have been rolled by the clock: no later trade may fall before that.
    this.#lastTs = Math.max(this.#lastTs, clock.wall)
  }

  #end(): void {
    this.stop()
    this.#ended = this.#emitted === this.#options.events
    this.#options.onEnd()
  }
}
