import type { Trade } from '../../../domain/events.ts'
import { parseIsoMicros } from '../../../domain/time.ts'
import type { QuoteUpdate } from './quote-state.ts'
import type { FeedChannel } from './source-kind.ts'
import { readNumber } from './values.ts'

/** An object of a frame: its fields are whatever the service sent. */
export type Fields = Readonly<Record<string, unknown>>

const NO_FIELDS: Fields = {}

/** The object in a field; one without fields where there is none. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : NO_FIELDS
}

/** The list in a field; an empty one where there is none. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** What a service calls the channels that are asked for, of those that it has. */
export function namesOf<Names extends Readonly<Partial<Record<FeedChannel, unknown>>>>(
  names: Names,
  channels: readonly FeedChannel[],
): readonly NonNullable<Names[keyof Names]>[] {
  return channels.flatMap((channel) => {
    const name = names[channel as keyof Names]
    return name === undefined || name === null ? [] : [name]
  })
}

/** A text in a field; an empty one where there is none. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** From here on a number is microseconds, not milliseconds: as milliseconds it would be a time after the year 5138. */
const SHORTEST_MICROS = 1e14

/** The microseconds of a time that may come in milliseconds or in microseconds, as a number or as digits; undefined where it cannot be read. */
export function microsOfEpoch(value: unknown): number | undefined {
  const number = readNumber(value)
  return microsOf(number, number !== undefined && number < SHORTEST_MICROS ? 1_000 : 1)
}

/** The microseconds of a time in milliseconds, as a number or as digits; undefined where it cannot be read. */
export function microsOfMillis(value: unknown): number | undefined {
  return microsOf(readNumber(value), 1_000)
}

/** The microseconds of a time in whole seconds; undefined where it cannot be read. */
export function microsOfSeconds(value: unknown): number | undefined {
  return microsOf(readNumber(value), 1_000_000)
}

/** `unit`: so many microseconds are one of what is counted. */
function microsOf(count: number | undefined, unit: number): number | undefined {
  return count === undefined || count < 0 ? undefined : Math.round(count * unit)
}

/** The microseconds of an ISO 8601 time; undefined where it cannot be read. */
export function microsOfIso(value: unknown): number | undefined {
  return typeof value === 'string' ? parseIsoMicros(value) : undefined
}

const SIDES: ReadonlyMap<unknown, Trade['side']> = new Map([
  ['buy', 'buy'],
  ['Buy', 'buy'],
  ['sell', 'sell'],
  ['Sell', 'sell'],
])

/** The side that a service names in words. */
export function sideOf(value: unknown): Trade['side'] | undefined {
  return SIDES.get(value)
}

/** The taker's side where the service says whether the buyer was the maker. */
export function sideOfMaker(isBuyer: unknown): Trade['side'] | undefined {
  return typeof isBuyer === 'boolean' ? (isBuyer ? 'sell' : 'buy') : undefined
}

/** The best prices of two lists of levels `[price, size, ...]`, best first: an empty list is a side where nobody offers. */
export function bestOfLevels(bids: unknown, asks: unknown): QuoteUpdate {
  const [bid, ask] = [best(bids), best(asks)]
  return { bid: bid?.[0], bidSize: bid?.[1], ask: ask?.[0], askSize: ask?.[1] }
}

/** Undefined where the frame says nothing of the side. */
function best(levels: unknown): readonly unknown[] | undefined {
  if (!Array.isArray(levels)) return undefined
  return levels.length === 0 ? [null] : listOf(levels[0])
}
