import type { SQLOutputValue } from 'node:sqlite'

/** What the thread of the baseline is asked. */
export type RowQuestion =
  | {
      readonly op: 'append'
      readonly topic: string
      readonly baseOffset: number
      readonly records: readonly {
        readonly key: string | null
        readonly value: Uint8Array | null
        readonly headers: string
      }[]
    }
  | { readonly op: 'read'; readonly topic: string; readonly offset: number; readonly limit: number }

export interface RowAnswer {
  readonly rows: readonly Readonly<Record<string, SQLOutputValue>>[]
}
