import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { type Column, type ColumnKind, columnsOf, type RowChannel } from '../../domain/stored-rows.ts'
import { parseIsoMicros } from '../../domain/time.ts'
import { LINE_FORMATS, type LineFormatName } from '../../gateway/row-text.ts'
import { VERSION } from '../../version.ts'
import type { Output } from './output.ts'

export type Row = Readonly<Record<string, unknown>>

/** Writes rows to an output in one format. */
export interface RowWriter {
  write(rows: readonly Row[]): Promise<void>
  /** What stands after the last row. The output is not finished by it. */
  end(): Promise<void>
}

/** `isBegun`: the output goes on after rows that are there. */
type Format = (channel: RowChannel, output: Pick<Output, 'write'>, isBegun?: boolean) => RowWriter

/** Each format by its name, which is also how files of it end. */
export const FORMATS = { csv: lines('csv'), ndjson: lines('ndjson'), parquet } as const satisfies Readonly<
  Record<string, Format>
>
export type FormatName = keyof typeof FORMATS

/** Rows line by line. */
function lines(name: LineFormatName): Format {
  const format = LINE_FORMATS[name]
  return (channel, output, isBegun = false) => {
    let hasHead = isBegun
    const write = async (text: string): Promise<void> => {
      if (text !== '') await output.write(Buffer.from(text))
    }
    const begin = async (): Promise<void> => {
      if (!hasHead) await write(format.head(channel))
      hasHead = true
    }
    return {
      async write(rows) {
        await begin()
        await write(format.lines(channel, rows))
      },
      end: begin,
    }
  }
}

/** Rows that lie together in a Parquet file, and in memory before they are written. */
const GROUP_ROWS = 50_000

/** Times are microseconds in UTC, prices and sizes the doubles that they are. */
function parquet(channel: RowChannel, output: Pick<Output, 'write'>): RowWriter {
  const columns = columnsOf(channel)
  const bytes = new FlushedBytes(output)
  const root = { name: 'root', num_children: columns.length }
  const elements = columns.map(([name, { kind, schema }]) => ({
    name,
    ...PARQUET[kind].element,
    repetition_type: schema.safeParse(null).success ? ('OPTIONAL' as const) : ('REQUIRED' as const),
  }))
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [root, ...elements],
    createdBy: `tapeline ${VERSION}`,
  })
  let waiting: Row[] = []
  const writeGroup = async (): Promise<void> => {
    const columnData = columns.map(([name, column]) => ({
      name,
      data: waiting.map((row) => toParquet(column, row[name])),
    }))
    waiting = []
    await writer.write({ columnData, rowGroupSize: GROUP_ROWS })
  }
  return {
    async write(rows) {
      waiting.push(...rows)
      if (waiting.length >= GROUP_ROWS) await writeGroup()
    },
    async end() {
      if (waiting.length > 0) await writeGroup()
      await writer.finish()
    },
  }
}

const PARQUET = {
  text: {
    element: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
    from: (value) => value,
  },
  number: { element: { type: 'DOUBLE' }, from: (value) => value },
  count: { element: { type: 'INT64' }, from: (value) => BigInt(value as number) },
  time: {
    element: {
      type: 'INT64',
      converted_type: 'TIMESTAMP_MICROS',
      logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
    },
    from: (value) => BigInt(parseIsoMicros(value as string) ?? 0),
  },
} as const satisfies Readonly<Record<ColumnKind, { element: object; from: (value: unknown) => unknown }>>

function toParquet({ kind }: Column, value: unknown): unknown {
  return value === null || value === undefined ? null : PARQUET[kind].from(value)
}

/** Bytes of one group of rows at a time: the library asks for the flush after each, and waits for it. */
class FlushedBytes extends ByteWriter {
  readonly #output: Pick<Output, 'write'>

  constructor(output: Pick<Output, 'write'>) {
    super()
    this.#output = output
  }

  async flush(): Promise<void> {
    const bytes = this.getBytes()
    if (bytes.length > 0) await this.#output.write(bytes)
    this.index = 0
  }

  override finish(): Promise<void> {
    return this.flush()
  }
}
