import { pause } from '../../async/timers.ts'
import type { StatusState } from '../../domain/events.ts'
import { toTapelineError } from '../../errors.ts'
import type { Log } from '../../ports/log.ts'
import type {
  ConnectionChange,
  Market,
  NextOptions,
  Source,
  SourceBatch,
  SourceHealth,
} from '../../ports/source.ts'
import { CoinbaseReader, EXCHANGE } from './coinbase/frames.ts'
import { ArrivalQueue } from './feed/arrival-queue.ts'
import { type CaptureLine, readCapture } from './feed/capture.ts'
import { MAX_SKEW_MS } from './feed/event-time.ts'
import { status } from './feed/status.ts'
import { Tally } from './feed/tally.ts'
import { TradeSequences } from './feed/trade-sequence.ts'

const NAME = 'replay'

/** How far the reading runs ahead of the pulling: a file can wait, so nothing is ever dropped. */
const READ_AHEAD = 10_000

export interface ReplayOptions {
  /** A file of recorded frames of Coinbase Exchange's WebSocket feed. */
  readonly path: string
  /** Only these; left out or empty: everything that was recorded. */
  readonly markets?: readonly Market[]
  /** `recorded`: frames come at the distances in time at which they were recorded. */
  readonly speed: 'recorded' | 'fastest'
  /** How far after its recorded arrival the time of an event may lie, in milliseconds. */
  readonly maxSkewMs?: number
  readonly log: Log
}

/**
 * Recorded raw frames as a finite source, through the same reader as the live feed. `recvTs` and the times of connection changes
 * are the recorded ones. It begins to read at once; a file that cannot be read makes `next` reject with CAPTURE_INVALID.
 */
export function createReplaySource(options: ReplayOptions): Source {
  return new ReplaySource(options)
}

class ReplaySource implements Source {
  readonly name = NAME
  readonly #options: ReplayOptions
  readonly #tally: Tally
  readonly #queue: ArrivalQueue
  readonly #reader: CoinbaseReader
  readonly #sequences = new TradeSequences((item) => this.#queue.push(item))
  readonly #stop = new AbortController()
  readonly #reading: Promise<void>
  readonly #seen = new Set<string>()
  readonly #only: Set<string> | undefined
  readonly #excluded = new Set<string>()
  #opened = false
  #lastTs = 0
  #clock: { readonly wall: number; readonly recorded: number } | undefined
  #failure: SourceHealth['failure']

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#tally = new Tally(options.log.child({ source: NAME }), String)
    // The reading waits for the pulling, so that the queue never comes to its capacity.
    this.#queue = new ArrivalQueue({
      capacity: Number.POSITIVE_INFINITY,
      hole: (dropped) => ({
        ...this.#mayHaveMissed('overflow', `${dropped} items were dropped`, this.#lastTs),
        cause: 'overflow',
      }),
    })
    this.#reader = new CoinbaseReader(
      (symbol) => this.#wants(symbol),
      this.#tally,
      options.maxSkewMs ?? MAX_SKEW_MS,
    )
    if (options.markets?.length) this.#only = new Set(symbolsOf(options.markets))
    this.#reading = this.#read()
  }

  get ended(): boolean {
    return this.#queue.finished
  }

  async next(options: NextOptions, signal: AbortSignal): Promise<SourceBatch> {
    return { items: await this.#queue.next(options, signal) }
  }

  /** Frames that were read already are not read again. */
  subscribe(markets: readonly Market[]): void {
    for (const symbol of symbolsOf(markets)) {
      this.#excluded.delete(symbol)
      this.#only?.add(symbol)
    }
  }

  unsubscribe(markets: readonly Market[]): void {
    for (const symbol of symbolsOf(markets)) {
      this.#excluded.add(symbol)
      this.#only?.delete(symbol)
      this.#seen.delete(symbol)
      this.#reader.forget(symbol)
      this.#sequences.forget(symbol)
    }
  }

  health(): SourceHealth {
    return {
      name: NAME,
      way: this.ended ? 'none' : 'replay',
      markets: this.#only?.size ?? this.#seen.size,
      counters: { ...this.#tally.counters, conflated: this.#queue.conflated, dropped: this.#queue.dropped },
      without: [],
      ...(this.#failure && { failure: this.#failure }),
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#queue.finish()
    await this.#reading
  }

  async #read(): Promise<void> {
    try {
      for await (const line of readCapture(this.#options.path, this.#stop.signal)) {
        // Nothing comes before this line, so nobody need wait for its time.
        if ('ts' in line) this.#sequences.elapse(line.ts)
        await this.#pace(line)
        if (this.#stop.signal.aborted) return
        this.#take(line)
        await this.#queue.drained(READ_AHEAD)
      }
      this.#sequences.finish()
      this.#queue.finish()
    } catch (thrown) {
      const error = toTapelineError(thrown, 'CAPTURE_INVALID')
      this.#failure = { code: error.code, message: error.message }
      this.#queue.fail(error)
    }
  }

  /** At recorded speed waits until the line's time has come, counted from the first line. */
  async #pace(line: CaptureLine): Promise<void> {
    if (this.#options.speed === 'fastest' || !('ts' in line)) return
    this.#clock ??= { wall: performance.now(), recorded: line.ts }
    const due = this.#clock.wall + (line.ts - this.#clock.recorded) / 1000
    for (let wait = due - performance.now(); wait > 0; wait = due - performance.now()) {
      const { signal } = this.#stop
      await pause(wait, signal)
      if (signal.aborted) return
    }
  }

  #take(line: CaptureLine): void {
    switch (line.kind) {
      case 'opened':
        this.#connect('the recorded connection opened', line.ts)
        break
      case 'received':
        if (!this.#opened) this.#connect('the capture begins', line.ts)
        this.#frame(line.frame, line.ts)
        break
      case 'sent':
        break
      case 'unreadable':
        this.#tally.leftOut(Buffer.from(line.text), 'malformed')
        break
    }
  }

  #frame(text: string, recvTs: number): void {
    this.#tally.counters.frames++
    this.#lastTs = recvTs
    const frame = this.#reader.read(text, recvTs)
    switch (frame.kind) {
      case 'trade':
        this.#seen.add(frame.trade.symbol)
        this.#sequences.trade(frame.trade)
        break
      case 'quote':
        this.#seen.add(frame.quote.symbol)
        this.#queue.push({ channel: 'quote', event: frame.quote })
        break
      case 'heartbeat':
        if (frame.last) this.#sequences.names(frame.last.market, frame.last.id, frame.last.ts, recvTs)
        break
      case 'malformed':
      case 'mistimed':
        if (frame.refused) this.#sequences.refused(frame.refused.market, frame.refused.id)
        this.#tally.leftOut(Buffer.from(text), frame.kind)
        break
      // What was said about the recorded connection concerns nobody now.
      case 'subscriptions':
      case 'book':
      case 'error':
      case 'nothing':
      case 'other':
        break
    }
  }

  #connect(detail: string, ts: number): void {
    if (this.#opened) this.#tally.counters.reconnects++
    this.#reader.opened()
    this.#sequences.ended()
    this.#opened = true
    this.#queue.push(this.#mayHaveMissed('connected', detail, ts))
  }

  #mayHaveMissed(state: StatusState, detail: string, ts: number): ConnectionChange {
    return { channel: 'connection', status: status(NAME, ts, state, detail), mayHaveMissed: true }
  }

  #wants(symbol: string): boolean {
    return !this.#excluded.has(symbol) && (this.#only?.has(symbol) ?? true)
  }
}

function symbolsOf(markets: readonly Market[]): readonly string[] {
  return markets
    .filter((market) => market.exchange.toLowerCase() === EXCHANGE)
    .map((market) => market.symbol.toUpperCase())
}
