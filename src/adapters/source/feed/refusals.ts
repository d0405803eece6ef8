import { type Countdown, startTimer } from '../../../async/timers.ts'
import type { Market, MarketWithoutData, SourceItem } from '../../../ports/source.ts'
import { marketRefused, marketSubscribed } from './status.ts'

/** Services answer for each channel by itself: what they refuse of one market within this time is one refusal. */
const GATHER_MS = 500

interface Refusal {
  readonly market: Market
  /** What is refused: channels, or the whole market. */
  readonly byChannel: Map<string, string>
  why: string | undefined
  timer: Countdown | undefined
}

interface RefusalsOptions {
  readonly source: string
  readonly note: (item: SourceItem) => void
  /** Microseconds since the epoch. */
  readonly now: () => number
}

/**
 * The markets that a source was asked for and does not deliver, and why. Each is reported once, as a status event, until it is
 * delivered again or nobody asks for it. It accuses only those that the service names.
 */
export class Refusals {
  readonly #options: RefusalsOptions
  readonly #refused = new Map<string, Refusal>()

  constructor(options: RefusalsOptions) {
    this.#options = options
  }

  /** The markets without data at present. */
  get list(): readonly MarketWithoutData[] {
    return [...this.#refused.values()].flatMap(({ market, why }) =>
      why === undefined ? [] : [{ ...market, why }],
    )
  }

  has(market: Market): boolean {
    // Asked for each event, and mostly none is refused.
    return this.#refused.size > 0 && this.#refused.get(keyOf(market))?.why !== undefined
  }

  /** A market is not delivered. `why` begins with an error code. */
  refuse(market: Market, why: string): void {
    const refusal = this.#of(market)
    refusal.timer?.stop()
    this.#report(refusal, why)
  }

  /**
   * One of the `of` channels of a market is refused. It is reported by its name, or the market is as MARKET_UNKNOWN where all of
   * them are refused; a moment later, since the service says so channel by channel.
   */
  refuseChannel(market: Market, channel: string, of: number, words: string): void {
    const refusal = this.#of(market)
    if (refusal.byChannel.has(channel)) return
    refusal.byChannel.set(channel, words)
    if (refusal.byChannel.size >= of) this.refuse(market, `MARKET_UNKNOWN: ${words}`)
    else refusal.timer ??= startTimer(() => this.#reportChannels(refusal), GATHER_MS).unref()
  }

  /** The service delivers the market: if it was refused before, something was missed. */
  accept(market: Market): void {
    const refusal = this.#refused.get(keyOf(market))
    if (refusal === undefined) return
    this.forget(market)
    if (refusal.why === undefined) return
    const { source, note, now } = this.#options
    note(marketSubscribed(source, now(), market))
  }

  /** Nobody asks for the market any more. */
  forget(market: Market): void {
    this.#refused.get(keyOf(market))?.timer?.stop()
    this.#refused.delete(keyOf(market))
  }

  stop(): void {
    for (const { timer } of this.#refused.values()) timer?.stop()
  }

  #of(market: Market): Refusal {
    const known = this.#refused.get(keyOf(market))
    const refusal = known ?? {
      market,
      byChannel: new Map<string, string>(),
      why: undefined,
      timer: undefined,
    }
    if (!known) this.#refused.set(keyOf(market), refusal)
    return refusal
  }

  #reportChannels(refusal: Refusal): void {
    const told = [...refusal.byChannel].map(([channel, words]) => `${channel}: ${words}`)
    this.#report(refusal, `CHANNEL_UNKNOWN: ${told.join('; ')}`)
  }

  /** Once, and again only where it has become worse: the whole market instead of a channel. */
  #report(refusal: Refusal, why: string): void {
    const isKnown = refusal.why !== undefined && codeOf(refusal.why) === codeOf(why)
    refusal.why = why
    refusal.timer = undefined
    const { source, note, now } = this.#options
    if (!isKnown) note(marketRefused(source, now(), refusal.market, why))
  }
}

function codeOf(why: string): string {
  return why.slice(0, why.indexOf(':'))
}

function keyOf({ exchange, symbol }: Market): string {
  return `${exchange}:${symbol}`
}
