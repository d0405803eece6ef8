import { stringify } from 'csv-stringify/sync'
import { columnsOf, type RowChannel } from '../domain/stored-rows.ts'

type Row = Readonly<Record<string, unknown>>

/** A format in which rows stand line by line: what stands before the first row, and rows. */
export interface LineFormat {
  readonly mediaType: string
  readonly head: (channel: RowChannel) => string
  readonly lines: (channel: RowChannel, rows: readonly Row[]) => string
}

/** Each format of lines by its name, for answers and files. */
export const LINE_FORMATS = {
  /** A line of names, then a line a row. What is absent is empty; numbers have the digits that give the same double again. */
  csv: {
    mediaType: 'text/csv',
    head: (channel) => csv(channel, [], true),
    lines: (channel, rows) => csv(channel, rows, false),
  },
  /** A JSON object a line, as in answers of JSON. */
  ndjson: {
    mediaType: 'application/x-ndjson',
    head: () => '',
    lines: (_channel, rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
  },
} as const satisfies Readonly<Record<string, LineFormat>>
export type LineFormatName = keyof typeof LINE_FORMATS

function csv(channel: RowChannel, rows: readonly Row[], header: boolean): string {
  const columns = columnsOf(channel).map(([name]) => name)
  return stringify([...rows], { columns, header, record_delimiter: 'unix' })
}
