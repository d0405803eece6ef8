import { parseIsoMicros } from '../../../domain/time.ts'
import type { CaptureLine } from '../feed/capture.ts'

/** What looks like a time: ISO 8601, or digits of milliseconds, microseconds or nanoseconds. */
const TIMES = /"(\d{4}-\d{2}-\d{2}T[\d:.]{8,18}Z)"|(?<![\d.])(\d{13}|\d{16}|\d{19})(?![\d.])/g

/** 2009 and 2031 in microseconds: Bitstamp and Bybit have ids that would be times after that. */
const EARLIEST = 1_230_768_000_000_000
const LATEST = 1_924_992_000_000_000

/** The latest time that a frame names, in microseconds; undefined where it names none. */
function latestTimeIn(frame: string): number | undefined {
  let latest: number | undefined
  for (const [, iso, digits] of frame.matchAll(TIMES)) {
    const micros =
      iso === undefined ? Number((digits ?? '').padEnd(16, '0').slice(0, 16)) : parseIsoMicros(iso)
    if (micros === undefined || micros < EARLIEST || micros > LATEST) continue
    latest = Math.max(latest ?? 0, micros)
  }
  return latest
}

/** Where nobody wrote when a frame came, its own latest time stands for that; it is never before the time of the line before. */
export function timedLine(line: CaptureLine, lastTs: number): Exclude<CaptureLine, { kind: 'untimed' }> {
  if (line.kind !== 'untimed') return line
  return { kind: 'received', ts: Math.max(latestTimeIn(line.frame) ?? 0, lastTs), frame: line.frame }
}
