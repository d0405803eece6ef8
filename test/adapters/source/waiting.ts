import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { TapelineError } from '../../../src/errors.ts'
import type { Log } from '../../../src/ports/log.ts'
import type { Source, SourceItem } from '../../../src/ports/source.ts'

const LONGEST_MS = 15_000

/** Waits until a condition holds; fails after a while, saying what was waited for. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + LONGEST_MS
  while (!condition()) {
    assert.ok(Date.now() < end, `${what}: not so after ${LONGEST_MS} ms`)
    await delay(2)
  }
}

/** Pulls until `enough` says so of everything that came; fails after a while, showing what came. */
export async function pull(
  source: Source,
  what: string,
  enough: (items: readonly SourceItem[]) => boolean,
): Promise<SourceItem[]> {
  const items: SourceItem[] = []
  const end = Date.now() + LONGEST_MS
  while (!enough(items)) {
    assert.ok(
      Date.now() < end,
      `${what}: not so after ${LONGEST_MS} ms; got ${JSON.stringify(items.slice(-5))}`,
    )
    items.push(...(await next(source)))
  }
  return items
}

/** One pull that a source without a way is allowed to reject. */
async function next(source: Source): Promise<readonly SourceItem[]> {
  try {
    return (await source.next({ maxItems: 10_000, lingerMs: 0, waitMs: 50 }, AbortSignal.timeout(LONGEST_MS)))
      .items
  } catch (error) {
    assert.ok(isSourceError(error), `next() rejected with ${String(error)}`)
    await delay(2)
    return []
  }
}

/** Pulls until `next` rejects, and gives the error. */
export async function failureOf(source: Source): Promise<TapelineError> {
  const end = Date.now() + LONGEST_MS
  while (Date.now() < end) {
    try {
      await source.next({ maxItems: 10_000, lingerMs: 0, waitMs: 50 }, AbortSignal.timeout(LONGEST_MS))
    } catch (error) {
      assert.ok(isSourceError(error), `next() rejected with ${String(error)}`)
      return error
    }
  }
  assert.fail(`next() did not reject within ${LONGEST_MS} ms`)
}

function isSourceError(error: unknown): error is TapelineError {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SOURCE_')
}

/** The events of one channel. */
export function eventsOf<C extends SourceItem['channel']>(items: readonly SourceItem[], channel: C) {
  return items.flatMap((item) =>
    item.channel === channel && 'event' in item ? [item.event] : [],
  ) as Extract<SourceItem, { channel: C; event: unknown }>['event'][]
}

/** The states of connection changes, with `+` where events may have been missed. */
export function changesOf(items: readonly SourceItem[]): string[] {
  return items.flatMap((item) =>
    item.channel === 'connection' ? [`${item.status.state}${item.mayHaveMissed ? '+' : ''}`] : [],
  )
}

export interface RecordingLog extends Log {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[]
}

/** A log that keeps its lines. */
export function recordingLog(): RecordingLog {
  const lines: { level: string; fields: object; message: string }[] = []
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields, message })
  }
  const log: RecordingLog = {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  }
  return log
}

/** The time as sources get it. */
export function nowMicros(): number {
  return Date.now() * 1000
}
