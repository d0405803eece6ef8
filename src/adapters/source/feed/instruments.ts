import { canonicalSymbol } from '../../../domain/market-names.ts'
import { TapelineError } from '../../../errors.ts'
import type { Instrument } from '../../../ports/source.ts'
import { callRest, restUrl } from './rest-call.ts'
import { parseJson } from './text.ts'
import { type Fields, fieldsOf, listOf, textOf } from './wire-fields.ts'
import { refusalByStatus, shownWords, wordsOfBody } from './words.ts'

/** A market as an exchange's list has it: what its fields hold is checked by who reads it. */
interface ListedMarket {
  /** What the exchange calls it. */
  readonly name: unknown
  readonly base: unknown
  readonly quote: unknown
  /** The smallest step of prices, and of sizes. */
  readonly tick?: unknown
  readonly lot?: unknown
  readonly isTrading: boolean
}

/** How one exchange tells what it trades. */
export interface InstrumentsWire {
  readonly exchange: string
  /** From the address of REST on. */
  readonly path: string
  /** Takes the value of the JSON that comes. Raises what the service says instead of a list. */
  readonly read: (answer: unknown) => readonly ListedMarket[]
}

interface ListingOptions {
  readonly rest: URL
  readonly timeoutMs: number
}

/**
 * What an exchange trades at present, in the order of its list; a market whose name could not be asked for is left out. Raises SOURCE_UNAVAILABLE,
 * SOURCE_RATE_LIMITED, SOURCE_UNAUTHORIZED, and the signal's reason.
 */
export async function listInstruments(
  wire: InstrumentsWire,
  { rest, timeoutMs }: ListingOptions,
  signal: AbortSignal,
): Promise<readonly Instrument[]> {
  const { response, text } = await callRest(
    restUrl(rest, wire.path),
    { way: 'instruments', timeoutMs },
    signal,
  )
  if (!response.ok) {
    const words = shownWords(wordsOfBody(text), (each) => each)
    throw refusalByStatus('instruments', response.status, words)
  }
  return wire.read(parseJson(text)).flatMap((listed) => instrumentOf(wire.exchange, listed))
}

function instrumentOf(
  exchange: string,
  { name, base, quote, tick, lot, isTrading }: ListedMarket,
): Instrument[] {
  const symbol = canonicalSymbol(`${textOf(base)}-${textOf(quote)}`)
  if (symbol === undefined || textOf(name) === '' || textOf(base) === '' || textOf(quote) === '') return []
  const steps = { tick: stepOf(tick), lot: stepOf(lot) }
  const dash = textOf(base).length
  const assets = { base: symbol.slice(0, dash), quote: symbol.slice(dash + 1) }
  return [{ exchange, symbol, name: textOf(name), ...assets, ...steps, isTrading }]
}

function stepOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : null
}

/** The rows of a list. Raises SOURCE_UNAVAILABLE where there are none. */
export function listedRows(rows: unknown): readonly Fields[] {
  const found = listOf(rows).map(fieldsOf)
  if (found.length > 0) return found
  throw new TapelineError('SOURCE_UNAVAILABLE', 'instruments: the answer has no markets')
}
