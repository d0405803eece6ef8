import { z } from 'zod'
import { TapelineError } from '../errors.ts'
import { type RowChannel, STORED_ROWS } from './stored-rows.ts'

/** Which way rows are read: from the oldest on, or from the newest back. */
export const ROW_ORDERS = ['asc', 'desc'] as const
export type RowOrder = (typeof ROW_ORDERS)[number]

/**
 * A place between the rows of a market: after one row, in either direction. The content of the row says where it is, not a count from an end. So
 * rows that arrive meanwhile do not move it.
 */
export interface RowPosition {
  /** The row's key (`STORED_ROWS`), in order. */
  readonly key: readonly (string | number | null)[]
  /** How many rows with this very key were given. */
  readonly given: number
}

/** Some rows, and where the next ones are; undefined where there are no more now. */
export interface RowPage<Row> {
  readonly rows: readonly Row[]
  readonly next: RowPosition | undefined
}

/** The request for a page. Without an order it reads the newest rows, and lays them with the oldest first. */
interface PageRequest {
  readonly limit: number
  readonly order?: RowOrder | undefined
  readonly after?: RowPosition | undefined
}

type Row = Readonly<Record<string, unknown>>

/** The page of `found`, which may have one row more than the limit: that row tells that there are more. */
export function pageOf<R extends Row>(
  channel: RowChannel,
  found: readonly R[],
  { limit, order, after }: PageRequest,
): RowPage<R> {
  if (found.length <= limit) return { rows: found, next: undefined }
  const isLaidBackwards = order === undefined
  const rows = isLaidBackwards ? found.slice(-limit) : found.slice(0, limit)
  const read = isLaidBackwards ? rows.toReversed() : rows
  const key = keyOf(channel, read.at(-1) as R)
  const first = read.findLastIndex((row) => !isSame(keyOf(channel, row), key)) + 1
  const before = first === 0 && after !== undefined && isSame(after.key, key) ? after.given : 0
  return { rows, next: { key, given: read.length - first + before } }
}

/** Rows from a position's own key on, in the order of the read, without those that were given already. */
export function rowsAfter<R extends Row>(
  channel: RowChannel,
  found: readonly R[],
  { key, given }: RowPosition,
): readonly R[] {
  const same = found.findIndex((row) => !isSame(keyOf(channel, row), key))
  return found.slice(Math.min(given, same < 0 ? found.length : same))
}

function keyOf(channel: RowChannel, row: Row): RowPosition['key'] {
  return STORED_ROWS[channel].key.map((name) => row[name] as string | number | null)
}

function isSame(a: RowPosition['key'], b: RowPosition['key']): boolean {
  return a.every((value, i) => value === b[i])
}

const VERSION = 1
/** It stands in addresses. */
const MOST_CHARACTERS = 4_096
/** No market has so many rows that are alike in everything. */
const MOST_GIVEN = 100_000

/** A position as opaque text, bound to its scope, such as `trade:BTC-USD`. */
export function encodeRowCursor(scope: string, { key, given }: RowPosition): string {
  return Buffer.from(JSON.stringify([VERSION, scope, given, ...key])).toString('base64url')
}

/** Reads a cursor. Raises CURSOR_INVALID where it is none of ours, or of another scope. */
export function decodeRowCursor(text: string, channel: RowChannel, scope: string): RowPosition {
  const parsed = text.length <= MOST_CHARACTERS ? cursorSchemas[channel].safeParse(text) : undefined
  if (!parsed?.success) throw refused('is not one that this platform made')
  const [, ofScope, given, ...key] = parsed.data
  if (encodeRowCursor(ofScope, { key, given }) !== text) throw refused('is not as it was written')
  if (ofScope !== scope) throw refused(`belongs to ${ofScope}, not to ${scope}`)
  return { key, given }
}

function refused(why: string): TapelineError {
  return new TapelineError('CURSOR_INVALID', `The cursor ${why}.`, {
    remedy:
      'Use next of the answer before unchanged, with the same symbol, interval and origin; or leave cursor out.',
  })
}

/** No database takes a zero byte, or a time that is none. */
const text = z.string().regex(/^[^\0]*$/)
const time = z.iso.datetime({ precision: 6 })
const scopeText = z.string().max(300)

function cursorSchema(channel: RowChannel) {
  const columns: Readonly<Record<string, { readonly kind: string }>> = STORED_ROWS[channel].columns
  const values = STORED_ROWS[channel].key.map((name) => {
    const kind = columns[name]?.kind
    if (kind === 'time') return time
    return kind === 'text' ? text : z.number().nullable()
  })
  const head = [z.literal(VERSION), scopeText, z.number().int().min(1).max(MOST_GIVEN)] as const
  return z
    .string()
    .transform((cursor, context) => {
      try {
        return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown
      } catch {
        context.addIssue('is no JSON')
        return z.NEVER
      }
    })
    .pipe(z.tuple([...head, ...values]) as unknown as z.ZodType<Parts>)
}

type Parts = [version: number, scope: string, given: number, ...key: (string | number | null)[]]

const cursorSchemas = {
  trade: cursorSchema('trade'),
  quote: cursorSchema('quote'),
  candle: cursorSchema('candle'),
} as const
