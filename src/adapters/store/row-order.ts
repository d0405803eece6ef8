import type { RowOrder, RowPosition } from '../../domain/row-cursor.ts'
import { columnsOf, type RowChannel, STORED_ROWS } from '../../domain/stored-rows.ts'
import type { SqlParameter } from './session.ts'

/** SQL for the value of a column, in a row or of a position. */
type ValueOf = (column: string) => string

/**
 * What orders the rows of a market, all of them rising. Trades of one time are in the order in which they count for candles: by the value of ids
 * that are digits, these before others, which are in the order of arrival. What follows only makes the order the same at each read.
 */
const TERMS: { readonly [C in RowChannel]: (value: ValueOf) => readonly string[] } = {
  trade(value) {
    const rest = `translate(${value('id')}, '0123456789', '')`
    return [
      value('ts'),
      `(${value('id')} = '' or ${rest} <> '')`,
      asBytes(`case when ${rest} = '' then lpad(${value('id')}, 128, '0') else '' end`),
      value('recvTs'),
      asBytes(value('id')),
      asBytes(value('exchange')),
      value('price'),
      value('size'),
      asBytes(value('side')),
    ]
  },
  quote: (value) => [
    value('ts'),
    value('recvTs'),
    asBytes(value('exchange')),
    ...['bid', 'bidSize', 'ask', 'askSize', 'last', 'volume24h'].map(
      (name) => `coalesce(${value(name)}, 'NaN'::float8)`,
    ),
  ],
  candle: (value) => [value('ts'), asBytes(value('exchange'))],
}

/** Compared as bytes, whatever the language of the database. */
function asBytes(text: string): string {
  return `(${text}) collate "C"`
}

/** The terms of `order by` for rows that have the columns of a channel under the names of answers. */
export function orderBy(channel: RowChannel, order: RowOrder): string {
  return TERMS[channel](inRow)
    .map((term) => `${term} ${order}`)
    .join(', ')
}

/** A condition for a position's own rows and those after it; its values are added to the parameters. */
export function atOrAfter(
  channel: RowChannel,
  { key }: RowPosition,
  order: RowOrder,
  parameters: SqlParameter[],
): string {
  const columns = new Map(columnsOf(channel))
  const types = { text: 'text', number: 'float8', count: 'bigint', time: 'timestamptz' }
  const places = new Map(
    STORED_ROWS[channel].key.map((name, i) => {
      const kind = columns.get(name)?.kind ?? 'text'
      return [name as string, `$${parameters.push(key[i] ?? null)}::${types[kind]}`]
    }),
  )
  const position = TERMS[channel]((name) => places.get(name) ?? 'null')
  const row = TERMS[channel](inRow)
  return `(${row.join(', ')}) ${order === 'asc' ? '>=' : '<='} (${position.join(', ')})`
}

function inRow(column: string): string {
  return `r."${column}"`
}
