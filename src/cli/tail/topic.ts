import { admit, emptyMemory } from '../../domain/reader-rules.ts'
import { toTapelineError } from '../../errors.ts'
import type { Terminal } from '../command.ts'
import type { EventPrinter } from './event-printer.ts'
import { createOutage } from './outage.ts'
import type { LogRecord, LogTopic, RecordLog } from './record-log.ts'

/** How long one request waits for records, while following. */
const FOLLOW_WAIT_MS = 10_000
/** How long one request waits where records are known to be. */
const END_WAIT_MS = 1_000

export interface TopicReading {
  readonly log: RecordLog
  readonly topic: string
  readonly from: 'earliest' | 'latest'
  readonly printer: EventPrinter
  readonly terminal: Terminal
}

/** Prints what a topic holds up to its end as of now, one partition after the other. Raises what reading raises. */
export async function printTopic(reading: TopicReading): Promise<void> {
  const { log, topic, printer, terminal } = reading
  const { offsets } = await log.describe(topic, terminal.signal)
  for (const [partition, range] of offsets.entries()) {
    const part = partitionOf(reading, partition, range)
    while (part.next < range.end && !printer.isFull && !terminal.signal.aborted) {
      const from = part.next
      await part.advance(END_WAIT_MS, terminal.signal, range.end)
      // Compaction may have removed the last records of the range.
      if (part.next === from) break
    }
  }
}

/**
 * Prints what arrives in a topic, all partitions at once, until the limit or Ctrl-C. A platform that is away is waited for.
 * Raises what describing the topic raises.
 */
export async function followTopic(reading: TopicReading): Promise<void> {
  const { log, topic, printer, terminal } = reading
  const { offsets } = await log.describe(topic, terminal.signal)
  const full = new AbortController()
  const signal = AbortSignal.any([terminal.signal, full.signal])
  const outage = createOutage(terminal)
  const follow = async (part: Part): Promise<void> => {
    while (!signal.aborted) {
      try {
        await part.advance(FOLLOW_WAIT_MS, signal)
        outage.over()
        if (printer.isFull) full.abort()
      } catch (error) {
        if (signal.aborted) return
        await outage.wait(toTapelineError(error), signal)
      }
    }
  }
  await Promise.all(offsets.map((range, partition) => follow(partitionOf(reading, partition, range))))
}

/** One partition and how far it is printed. */
interface Part {
  /** The next offset to read. */
  readonly next: number
  /** Reads and prints a page, of records before `end`. Says so where retention has removed what came next. */
  advance(waitMs: number, signal: AbortSignal, end?: number): Promise<void>
}

function partitionOf(
  { log, topic, from, printer, terminal }: TopicReading,
  partition: number,
  range: LogTopic['offsets'][number],
): Part {
  const memory = emptyMemory()
  let next = from === 'earliest' ? range.earliest : range.end

  const skipRemoved = async (signal: AbortSignal): Promise<void> => {
    const { offsets } = await log.describe(topic, signal)
    const earliest = offsets[partition]?.earliest ?? next
    terminal.note(
      `a hole: retention has removed offsets ${next} to ${earliest - 1} of partition ${partition}`,
    )
    next = earliest
  }

  return {
    get next() {
      return next
    },
    async advance(waitMs, signal, end = Number.POSITIVE_INFINITY) {
      try {
        const page = await log.read({ topic, partition, offset: next }, waitMs, signal)
        printer.print(
          page.records.flatMap((record) => {
            if (record.offset >= end) return []
            // What parts of the platform write for each other is no event; it is shown with its place and key.
            if (record.headers.kind === 'control') return [controlOf(record)]
            return admit(memory, record.headers) && record.value !== null ? eventOf(record, terminal) : []
          }),
        )
        for (const { from: first, to, reason } of page.undecodable ?? [])
          terminal.note(
            `a hole: offsets ${first} to ${to} of partition ${partition} cannot be read: ${reason}`,
          )
        next = page.next
      } catch (error) {
        if (toTapelineError(error).code !== 'OFFSET_OUT_OF_RANGE') throw error
        await skipRemoved(signal)
      }
    },
  }
}

function eventOf({ offset, value }: LogRecord, terminal: Terminal): unknown[] {
  try {
    return [JSON.parse(value ?? '')]
  } catch {
    terminal.note(`offset ${offset} is left out: its value is not JSON`)
    return []
  }
}

function controlOf({ offset, key, value }: LogRecord): unknown {
  try {
    return { offset, key, value: value === null ? null : JSON.parse(value) }
  } catch {
    return { offset, key, value }
  }
}
