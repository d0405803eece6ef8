import { RecordedPace } from '../../async/recorded-pace.ts'
import { marketKey, type StatusState } from '../../domain/events.ts'
import { toTapelineError } from '../../errors.ts'
import type { Log } from '../../ports/log.ts'
import type {
  ConnectionChange,
  Market,
  NextOptions,
  Source,
  SourceBatch,
  SourceHealth,
  SourceItem,
} from '../../ports/source.ts'
import { ArrivalQueue } from './feed/arrival-queue.ts'
import { canonicalMarket } from './feed/canonical-market.ts'
import { type CaptureLine, readCapture } from './feed/capture.ts'
import { MAX_SKEW_MS } from './feed/event-time.ts'
import { status } from './feed/status.ts'
import { Tally } from './feed/tally.ts'
import { SOURCES, type SourceName } from './index.ts'
import { timedLine } from './recording/frame-time.ts'
import { inspectRecording } from './recording/inspect.ts'
import { openRecordedReader, type RecordedReader } from './recording/reader.ts'

const NAME = 'replay'

/** How far the reading runs ahead of the pulling: a file can wait, so nothing is ever dropped. */
const READ_AHEAD = 10_000

export interface ReplayOptions {
  /** Files of recorded frames of one source, one after another. */
  readonly paths: readonly string[]
  /** Whose frames they are, where they do not tell. */
  readonly source?: SourceName | undefined
  /** Only these; left out or empty: everything that was recorded. */
  readonly markets?: readonly Market[] | undefined
  /** How many times as fast as it was recorded; `fastest`: without any wait. */
  readonly speed: number | 'fastest'
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
  readonly #stop = new AbortController()
  /** At recorded speed, or N times as fast. */
  readonly #pace: RecordedPace | undefined
  readonly #reading: Promise<void>
  /** Markets by their keys. */
  readonly #seen = new Set<string>()
  readonly #only: Set<string> | undefined
  readonly #excluded = new Set<string>()
  #reader: RecordedReader | undefined
  #source: SourceName | undefined
  #opened = false
  #lastTs = 0
  #failure: SourceHealth['failure']

  constructor(options: ReplayOptions) {
    this.#options = options
    if (options.speed !== 'fastest') this.#pace = new RecordedPace(options.speed)
    this.#tally = new Tally(options.log.child({ source: NAME }), String)
    // The reading waits for the pulling, so that the queue never comes to its capacity.
    this.#queue = new ArrivalQueue({
      capacity: Number.POSITIVE_INFINITY,
      hole: (dropped) => ({
        ...this.#mayHaveMissed('overflow', `${dropped} items were dropped`, this.#lastTs),
        cause: 'overflow',
      }),
    })
    if (options.markets?.length) this.#only = new Set(options.markets.map(keyOf))
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
    for (const key of markets.map(keyOf)) {
      this.#excluded.delete(key)
      this.#only?.add(key)
    }
    this.#reader?.add(markets.map(canonicalMarket))
  }

  unsubscribe(markets: readonly Market[]): void {
    for (const market of markets) {
      const key = keyOf(market)
      this.#excluded.add(key)
      this.#only?.delete(key)
      this.#seen.delete(key)
      this.#reader?.forget(canonicalMarket(market))
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
      for (const path of this.#options.paths) await this.#readFile(path)
      if (this.#stop.signal.aborted) return
      this.#reader?.finish()
      this.#queue.finish()
    } catch (thrown) {
      const error = toTapelineError(thrown, 'CAPTURE_INVALID')
      this.#failure = { code: error.code, message: error.message }
      this.#queue.fail(error)
    }
  }

  async #readFile(path: string): Promise<void> {
    const { signal } = this.#stop
    const { source, markets } = await inspectRecording(path, this.#options, signal)
    if (this.#source !== source) await this.#openReader(source, markets)
    else this.#reader?.add(markets)
    for await (const given of readCapture(path, signal)) {
      const line = timedLine(given, this.#lastTs)
      // Nothing comes before this line, so nobody need wait for its time.
      if ('ts' in line) {
        this.#lastTs = line.ts
        this.#reader?.elapse(line.ts)
      }
      if ('ts' in line) await this.#pace?.until(line.ts, signal)
      if (signal.aborted) return
      this.#take(line)
      await this.#queue.drained(READ_AHEAD)
    }
  }

  async #openReader(source: SourceName, markets: readonly Market[]): Promise<void> {
    this.#reader?.finish()
    this.#opened = false
    this.#source = source
    this.#reader = await openRecordedReader(SOURCES[source], markets, {
      push: (item) => this.#push(item),
      wants: (market) => this.#wants(market),
      tally: this.#tally,
      maxSkewMs: this.#options.maxSkewMs ?? MAX_SKEW_MS,
      now: () => this.#lastTs,
      log: this.#options.log,
    })
  }

  #take(line: CaptureLine): void {
    switch (line.kind) {
      case 'begins':
        if (!line.continues) this.#reader?.closed()
        break
      case 'opened':
        this.#connect('the recorded connection opened', line.ts)
        break
      case 'received':
        if (!this.#opened) this.#connect('the capture begins', line.ts)
        this.#tally.counters.frames++
        this.#reader?.read(line.frame, line.ts)
        break
      case 'closed':
        this.#reader?.closed()
        this.#queue.push({
          ...{ channel: 'connection' as const },
          status: status(NAME, line.ts, 'disconnected', 'the recorded connection ended'),
        })
        break
      case 'lost':
        this.#queue.push(this.#mayHaveMissed('overflow', 'frames were not recorded here', line.ts))
        break
      case 'unreadable':
        this.#tally.leftOut(Buffer.from(line.text), 'malformed')
        break
      case 'answered':
        if (!this.#opened) this.#connect('the capture begins', line.ts)
        this.#reader?.answered(line.url, line.body, line.ts)
        break
      case 'sent':
        break
    }
  }

  #push(item: SourceItem): void {
    if (item.channel === 'connection') {
      this.#queue.push(item)
      return
    }
    const market = item.channel === 'last-trade' ? item : item.event
    if (market.symbol === undefined || !this.#wants({ exchange: market.exchange, symbol: market.symbol }))
      return
    if (item.channel === 'trade' || item.channel === 'quote') this.#seen.add(marketKey(market))
    this.#queue.push(item)
  }

  #connect(detail: string, ts: number): void {
    if (this.#opened) this.#tally.counters.reconnects++
    this.#reader?.closed()
    this.#reader?.opened()
    this.#opened = true
    this.#queue.push(this.#mayHaveMissed('connected', detail, ts))
  }

  #mayHaveMissed(state: StatusState, detail: string, ts: number): ConnectionChange {
    return { channel: 'connection', status: status(NAME, ts, state, detail), mayHaveMissed: true }
  }

  #wants(market: Market): boolean {
    const key = marketKey(market)
    return !this.#excluded.has(key) && (this.#only?.has(key) ?? true)
  }
}

function keyOf(market: Market): string {
  return marketKey(canonicalMarket(market))
}
