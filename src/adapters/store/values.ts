import type { SqlResult } from '../../ports/store.ts'
import type { SqlRows } from './session.ts'

/**
 * PostgreSQL's text output as JSON-ready values: what a query of an application returns.
 * The oids are fixed: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat
 */
type Read = (text: string) => unknown

const SCALARS: Readonly<Record<number, Read>> = {
  16: (text) => text === 't',
  20: readInteger,
  21: Number,
  23: Number,
  26: Number,
  114: (text) => JSON.parse(text),
  700: readDouble,
  701: readDouble,
  1114: readTimestamp,
  1184: readTimestamp,
  1700: readNumeric,
  3802: (text) => JSON.parse(text),
}

/** The element type of each array type whose elements are not plain text. */
const ARRAYS: Readonly<Record<number, number>> = {
  199: 114,
  1000: 16,
  1005: 21,
  1007: 23,
  1016: 20,
  1021: 700,
  1022: 701,
  1028: 26,
  1115: 1114,
  1185: 1184,
  1231: 1700,
  3807: 3802,
  // text, varchar, bpchar, name, uuid, date
  1009: 25,
  1015: 25,
  1014: 25,
  1003: 25,
  2951: 25,
  1182: 25,
}

/**
 * A value of a result: timestamps as ISO 8601 with six digits (UTC with Z for timestamptz), integers beyond 2^53 and
 * numerics that no double holds exactly as text, NaN and infinities as text, JSON parsed, bytea as `\x...`, arrays
 * as arrays; every other type as PostgreSQL prints it.
 */
function readValue(text: string | null, oid: number): unknown {
  if (text === null) return null
  const element = ARRAYS[oid]
  if (element !== undefined) return readArray(text, SCALARS[element] ?? String)
  const read = SCALARS[oid]
  return read === undefined ? text : read(text)
}

/** Whole rows as objects. Columns that share a name are told apart: `a`, `a_2`. */
export function readRows({ columns, rows }: SqlRows): SqlResult {
  const names = distinct(columns.map((column) => column.name))
  return {
    columns: names,
    rows: rows.map((row) =>
      Object.fromEntries(columns.map(({ oid }, i) => [names[i], readValue(row[i] ?? null, oid)])),
    ),
  }
}

function distinct(names: readonly string[]): string[] {
  const taken = new Set(names)
  return names.map((name, i) => {
    if (names.indexOf(name) === i) return name
    let n = 2
    while (taken.has(`${name}_${n}`)) n++
    taken.add(`${name}_${n}`)
    return `${name}_${n}`
  })
}

function readInteger(text: string): number | string {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : text
}

function readDouble(text: string): number | string {
  const value = Number(text)
  return Number.isFinite(value) ? value : text
}

/** A double holds every decimal of up to 15 significant digits. */
function readNumeric(text: string): number | string {
  const digits = text.includes('.') ? text.replace(/0+$/, '') : text
  const significant = digits.replace(/^-?[0.]*/, '').replace('.', '')
  return significant.length <= 15 ? readDouble(text) : readInteger(text)
}

const TIMESTAMP = /^(\d{4,}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d+))?(\+00)?$/

/** Text that is no ordinary time (`infinity`, years BC) stays as it is. */
function readTimestamp(text: string): string {
  const match = TIMESTAMP.exec(text)
  if (!match) return text
  const [, date, time, fraction = '', zone] = match
  return `${date}T${time}.${fraction.padEnd(6, '0')}${zone === undefined ? '' : 'Z'}`
}

const ARRAY_TOKEN = /"((?:[^"\\]|\\.)*)"|([{},])|([^{},"]+)/gs

/** An array literal such as `{1,NULL,"a \"b\"",{2}}`; a lower bound in front (`[0:1]={...}`) is left out. */
function readArray(text: string, read: Read): unknown[] {
  const root: unknown[] = []
  const open: unknown[][] = [root]
  for (const [, quoted, mark, plain] of text.slice(text.indexOf('{')).matchAll(ARRAY_TOKEN)) {
    if (mark === '{') {
      const inner: unknown[] = []
      open.at(-1)?.push(inner)
      open.push(inner)
    } else if (mark === '}') {
      open.pop()
    } else if (quoted !== undefined) {
      open.at(-1)?.push(read(quoted.replace(/\\(.)/gs, '$1')))
    } else if (plain !== undefined) {
      open.at(-1)?.push(plain === 'NULL' ? null : read(plain))
    }
  }
  return root[0] as unknown[]
}
