import type { Side, Trade } from '../../../domain/events.ts'
import type { Market } from '../../../ports/source.ts'
import { isPlausible } from '../feed/event-time.ts'
import { exactDigits, readId } from '../feed/text.ts'
import { readAmount, readPrice } from '../feed/values.ts'

/** A parsed frame of the service: an object with a TYPE. */
export type Frame = Readonly<Record<string, unknown>>

/** Bits of F (cryptocompare.md, TYPE 0). */
const SELL = 1
const BUY = 2

const NANOS = 1_000_000_000

/** Contents of trades without an id that are remembered to number equal ones. */
const KEPT_CONTENTS = 256

/**
 * Numbers equal contents of one market, so that trades without an id get the same ids whenever they are repeated (R5). Forgets
 * at each subscribe, since the service begins to repeat there. A repeat that begins in the middle of a run of equal trades
 * numbers them from 0 again; a further equal trade after it is then taken for one of the run.
 */
export class ContentOrdinals {
  readonly #seen = new Map<string, number>()

  next(content: string): number {
    const ordinal = this.#seen.get(content) ?? 0
    this.#seen.delete(content)
    this.#seen.set(content, ordinal + 1)
    if (this.#seen.size > KEPT_CONTENTS) {
      const [oldest] = this.#seen.keys()
      if (oldest !== undefined) this.#seen.delete(oldest)
    }
    return ordinal
  }

  forget(): void {
    this.#seen.clear()
  }
}

/**
 * Reads a TYPE 0 frame as a trade of `market`, or says why it is none. By hand, since nearly all frames are trades.
 *
 * F says the taker's side. Its bit REVERSED (8) says that the exchange lists the pair the other way round: the service has
 * turned such a trade round already, so price, size and side are read like those of any other.
 */
export function readTrade(
  frame: Frame,
  raw: Uint8Array,
  { market, ordinals }: { readonly market: Market; readonly ordinals: ContentOrdinals },
  recvTs: number,
  maxSkewMs: number,
): Trade | 'malformed' | 'mistimed' {
  const price = readPrice(frame['P'])
  const size = readAmount(frame['Q'])
  const ts = micros(frame['TS'], frame['TSNS'])
  if (price === undefined || size === undefined || ts === undefined) return 'malformed'
  if (!isPlausible(ts, recvTs, maxSkewMs)) return 'mistimed'
  const id = givenId(frame['ID'], raw)
  if (id === undefined) return 'malformed'
  const side = sideOf(frame['F'])
  const { exchange, symbol } = market
  return { exchange, symbol, id: id || contentId(frame, side, ordinals), side, price, size, ts, recvTs }
}

/** Microseconds of whole seconds and nanoseconds within them; undefined where they are none. */
export function micros(seconds: unknown, nanos: unknown = 0): number | undefined {
  if (!Number.isInteger(seconds) || !Number.isInteger(nanos)) return undefined
  const [s, ns] = [seconds as number, nanos as number]
  if (s <= 0 || ns < 0 || ns >= NANOS) return undefined
  const ts = s * 1_000_000 + Math.floor(ns / 1000)
  return Number.isSafeInteger(ts) ? ts : undefined
}

function sideOf(flags: unknown): Side {
  const taker = Number(typeof flags === 'string' || typeof flags === 'number' ? flags : 0) & (SELL | BUY)
  if (taker === SELL) return 'sell'
  return taker === BUY ? 'buy' : 'unknown'
}

/** The id that the frame gives; empty where it gives none; undefined where it is no id. */
function givenId(id: unknown, raw: Uint8Array): string | undefined {
  if (id === undefined || id === null || id === '') return ''
  if (typeof id === 'string') return readId(id)
  if (typeof id !== 'number') return undefined
  return Number.isSafeInteger(id) ? String(id) : exactDigits(Buffer.from(raw).toString(), 'ID')
}

function contentId(frame: Frame, side: Side, ordinals: ContentOrdinals): string {
  const time = `${frame['TS']}.${String(frame['TSNS'] ?? 0).padStart(9, '0')}`
  const content = `content:${time}:${frame['P']}:${frame['Q']}:${side}`
  return `${content}:${ordinals.next(content)}`
}
