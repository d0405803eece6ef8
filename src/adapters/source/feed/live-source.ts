import type { StatusState } from '../../../domain/events.ts'
import { TapelineError } from '../../../errors.ts'
import type { Log } from '../../../ports/log.ts'
import type {
  ConnectionChange,
  Market,
  NextOptions,
  Source,
  SourceBatch,
  SourceHealth,
} from '../../../ports/source.ts'
import { ArrivalQueue } from './arrival-queue.ts'
import type { Fallback, FeedProtocol, MarketsChange, Outlet } from './feed-protocol.ts'
import type { FrameTap } from './frame-tap.ts'
import { Link, type LinkOptions } from './link.ts'
import { Refusals } from './refusals.ts'
import type { SourceWays } from './source-kind.ts'
import { marketSubscribed, status } from './status.ts'
import { Tally } from './tally.ts'
import { Watchdog } from './watchdog.ts'

/** What a service complains of is logged once in this time. */
const COMPLAIN_EVERY_MS = 60_000

interface LiveSourceOptions {
  readonly name: string
  readonly link: Omit<LinkOptions, 'redact'>
  /** Silence of a delivering connection that makes it stale, in milliseconds. */
  readonly staleAfterMs: number
  readonly queueCapacity: number
  readonly maxSkewMs: number
  readonly log: Log
  readonly now: () => number
  /** Takes secrets out of a text. */
  readonly redact: (text: string) => string
  /** Gives the history, which tells what it leaves out. */
  readonly history: ((leftOut: Tally['leftOutOfPast']) => NonNullable<Source['history']>) | undefined
  readonly tap: FrameTap | undefined
  readonly ways: (outlet: Outlet) => SourceWays
}

/**
 * A source over an owned WebSocket, with or without a fallback: what all live sources have in common. It is long, and one file: link, watchdog,
 * fallback and queue hear of each other here only.
 */
export class LiveSource implements Source {
  readonly name: string
  readonly ended = false
  readonly history?: NonNullable<Source['history']>
  readonly #options: LiveSourceOptions
  readonly #log: Log
  readonly #tally: Tally
  readonly #queue: ArrivalQueue
  readonly #link: Link
  readonly #watchdog: Watchdog
  readonly #refusals: Refusals
  readonly #protocol: FeedProtocol
  readonly #fallback: Fallback | undefined
  #connectedBefore = false
  #fellBack = false
  #complainedAt = Number.NEGATIVE_INFINITY
  #fallbackAnnounced = false
  #closing: Promise<void> | undefined

  constructor(options: LiveSourceOptions) {
    this.name = options.name
    this.#options = options
    this.#log = options.log
    this.#tally = new Tally(this.#log, options.redact)
    this.#queue = new ArrivalQueue({
      capacity: options.queueCapacity,
      hole: (dropped) => ({
        ...this.#change('overflow', `nobody pulled: the full queue dropped ${dropped} items here`, true),
        cause: 'overflow',
      }),
    })
    this.#link = new Link(
      { ...options.link, redact: options.redact },
      {
        opened: () => this.#opened(),
        frame: (data) => this.#frame(data),
        lost: (error, delivered) => this.#lost(error, delivered),
        down: () => this.#fallBack(),
      },
    )
    this.#refusals = new Refusals({
      source: this.name,
      note: (item) => this.#queue.push(item),
      now: options.now,
    })
    this.#watchdog = new Watchdog(options.staleAfterMs, (quietMs) => this.#stale(quietMs))
    const { protocol, fallback, history } = options.ways({
      emit: (item) => {
        this.#alive()
        return this.#queue.push(item)
      },
      polled: (item) => {
        this.#announceFallback()
        this.#queue.push(item)
      },
      note: (item) => this.#queue.push(item),
      send: (frame) => this.#send(frame),
      complain: (error) => this.#complain(error),
      answered: (url, body) => options.tap?.answered(url, body, options.now()),
      refusals: this.#refusals,
      tally: this.#tally,
      maxSkewMs: options.maxSkewMs,
      now: options.now,
    })
    const past = history ?? options.history?.((...row) => this.#tally.leftOutOfPast(...row))
    if (past) this.history = past
    this.#protocol = protocol
    this.#fallback = fallback
  }

  async next(options: NextOptions, signal: AbortSignal): Promise<SourceBatch> {
    return { items: await this.#queue.next(options, signal) }
  }

  subscribe(markets: readonly Market[]): void {
    if (this.#closing) return
    this.#apply(this.#protocol.add(markets))
    if (this.#protocol.markets > 0) this.#link.start()
  }

  unsubscribe(markets: readonly Market[]): void {
    if (this.#closing) return
    this.#apply(this.#protocol.remove(markets))
    if (this.#protocol.markets === 0) this.#rest()
  }

  relieve(isWanted: boolean): void {
    this.#queue.conflate(isWanted)
  }

  health(): SourceHealth {
    const failure = this.#failure() ?? this.#link.failure
    return {
      name: this.name,
      way: this.#way(),
      markets: this.#protocol.markets,
      counters: { ...this.#tally.counters, conflated: this.#queue.conflated, dropped: this.#queue.dropped },
      queue: { items: this.#queue.size, capacity: this.#queue.capacity },
      ...(this.#protocol.books && { books: this.#protocol.books }),
      without: this.#refusals.list,
      ...(failure && { failure: { code: failure.code, message: failure.message } }),
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#watchdog.stop()
    this.#refusals.stop()
    this.#protocol.closed?.()
    this.#protocol.stop?.()
    this.#fallback?.stop()
    this.#queue.fail(undefined)
    this.#queue.finish()
    await this.#link.stop()
  }

  #apply(change: MarketsChange): void {
    if (this.#link.delivering) {
      for (const market of change.added)
        this.#queue.push(marketSubscribed(this.name, this.#options.now(), market))
    }
    for (const frame of change.send) this.#send(frame)
  }

  #way(): SourceHealth['way'] {
    if (this.#link.delivering) return 'websocket'
    return this.#fellBack && this.#fallback?.delivering ? 'rest' : 'none'
  }

  #opened(): void {
    this.#options.tap?.opened(this.#options.now())
    for (const frame of this.#protocol.opened()) this.#send(frame)
  }

  #send(frame: string): void {
    this.#options.tap?.sent(frame, this.#options.now())
    this.#link.send(frame)
  }

  #frame(data: Buffer): void {
    this.#tally.counters.frames++
    const recvTs = this.#options.now()
    this.#options.tap?.received(data, recvTs)
    const meaning = this.#protocol.read(data, recvTs)
    if (meaning === 'delivers') this.#alive()
    else if (meaning === 'heartbeat') {
      this.#alive()
      this.#watchdog.beat()
    } else if (meaning === 'malformed' || meaning === 'mistimed') this.#tally.leftOut(data, meaning)
    else if (meaning !== 'neutral') this.#link.fail(meaning)
  }

  #alive(): void {
    this.#watchdog.heard()
    if (!this.#link.delivering) this.#connected()
  }

  /** The first proof that a new connection delivers: its items come after this change. */
  #connected(): void {
    this.#link.delivers()
    this.#watchdog.start()
    this.#fallback?.stop()
    const detail = this.#fellBack ? 'websocket again, instead of the fallback' : 'websocket'
    this.#queue.push(this.#change(this.#fellBack ? 'recovered' : 'connected', detail, true))
    this.#log.info({ way: 'websocket' }, 'the source delivers')
    if (this.#connectedBefore) this.#tally.counters.reconnects++
    this.#connectedBefore = true
    this.#fellBack = false
    this.#judge()
  }

  #stale(quietMs: number): void {
    const detail = `neither heartbeat nor data for ${Math.round(quietMs)} ms`
    this.#queue.push(this.#change('stale', detail))
    this.#link.fail(new TapelineError('SOURCE_STALE', `websocket: ${detail}`))
  }

  #lost(error: TapelineError, delivered: boolean): void {
    this.#options.tap?.closed(this.#options.now())
    this.#protocol.closed?.()
    this.#watchdog.stop()
    if (delivered) {
      this.#queue.push(this.#change('disconnected', `${error.code}: ${error.message}`))
      this.#log.warn({ code: error.code, reason: error.message }, 'the connection was lost; connecting again')
    } else {
      this.#log.debug({ code: error.code, reason: error.message }, 'an attempt to connect failed')
    }
    this.#judge()
  }

  #complain(error: TapelineError): void {
    const now = performance.now()
    if (now - this.#complainedAt > COMPLAIN_EVERY_MS) {
      this.#complainedAt = now
      this.#log.warn({ code: error.code, reason: error.message }, 'the service refuses something')
    }
    this.#link.refused(error)
    this.#judge()
  }

  /** The WebSocket is down: begins to poll where there is a fallback, and goes on connecting. */
  #fallBack(): void {
    const failure = this.#link.failure
    const next = this.#fallback ? 'falling back' : 'nothing delivers until it is back'
    this.#log.warn({ code: failure?.code, reason: failure?.message }, `the websocket is down; ${next}`)
    this.#fellBack = this.#fallback !== undefined
    this.#fallbackAnnounced = false
    this.#fallback?.start(() => {
      if (this.#fallback?.delivering) this.#announceFallback()
      this.#judge()
    })
    this.#judge()
  }

  /** Says once an outage that the fallback delivers, before the first item that it brings. */
  #announceFallback(): void {
    if (this.#fallbackAnnounced || !this.#fallback) return
    this.#fallbackAnnounced = true
    this.#queue.push(this.#change('connected', this.#fallback.detail))
    this.#log.info({ way: 'rest' }, 'the fallback delivers')
  }

  /** No market is left: the connection ends, and that is no failure. */
  #rest(): void {
    const delivering = this.#way() !== 'none'
    this.#watchdog.stop()
    this.#fallback?.stop()
    this.#fellBack = false
    void this.#link.stop()
    if (delivering) this.#queue.push(this.#change('disconnected', 'no market is subscribed'))
    this.#judge()
  }

  /** Tells the queue whether any way delivers. */
  #judge(): void {
    this.#queue.fail(this.#failure())
  }

  /** Why no way delivers; undefined while one does, or has not had its chance yet. */
  #failure(): TapelineError | undefined {
    const first = this.#link.failure
    if (!this.#link.down || !first) return undefined
    if (!this.#fallback) return first
    const second = this.#fallback.failure
    if (this.#fallback.delivering || !second) return undefined
    const { code } = rankOf(second) > rankOf(first) ? second : first
    return new TapelineError(code, `${first.message}; ${second.message}`)
  }

  #change(state: StatusState, detail: string, mayHaveMissed?: true): ConnectionChange {
    const about = status(this.name, this.#options.now(), state, detail)
    return { channel: 'connection', status: about, ...(mayHaveMissed && { mayHaveMissed }) }
  }
}

/** What a person must do something about comes before what passes by itself. */
const BY_RANK = ['SOURCE_UNAVAILABLE', 'SOURCE_STALE', 'SOURCE_RATE_LIMITED', 'SOURCE_UNAUTHORIZED']

function rankOf({ code }: TapelineError): number {
  return BY_RANK.indexOf(code)
}
