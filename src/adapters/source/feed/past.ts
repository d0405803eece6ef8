import type { Fault } from './tally.ts'

/** Is told of a row that cannot be read, or whose time cannot be. */
export type LeftOut = (row: unknown, fault: Fault) => void

/** Microseconds, ends included. */
export interface TimeRange {
  readonly from: number
  readonly to: number
}

/** Asks one question by REST and gives the value of the JSON that comes. */
export type AskRest = (path: string, query: Readonly<Record<string, string>>) => Promise<unknown>
