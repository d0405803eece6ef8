import type { Terminal } from '../command.ts'
import { eventLine } from './event-line.ts'

interface PrinterOptions {
  /** One JSON line an event instead of readable text. */
  readonly json: boolean
  /** Stop after so many events. */
  readonly limit: number | undefined
  readonly terminal: Terminal
}

/** Prints events in batches and counts them. */
export interface EventPrinter {
  readonly printed: number
  /** Whether as many were printed as were asked for. */
  readonly isFull: boolean
  /** Prints events, up to the limit; all of a batch in one write. */
  print(events: readonly unknown[]): void
}

export function createEventPrinter({ json, limit, terminal }: PrinterOptions): EventPrinter {
  const most = limit ?? Number.POSITIVE_INFINITY
  let printed = 0
  return {
    get printed() {
      return printed
    },
    get isFull() {
      return printed >= most
    },
    print(events) {
      const wanted = events.slice(0, most - printed)
      if (wanted.length === 0) return
      printed += wanted.length
      terminal.print(wanted.map((event) => (json ? JSON.stringify(event) : eventLine(event))).join('\n'))
    },
  }
}
