import { startTimer } from '../async/timers.ts'

/** So many lines of one kind are written within a period; the last of those that were left out comes at its end, with their number. */
const MOST = 20
const PERIOD_MS = 60_000
/** So many kinds are told apart: messages may have the words of others in them. */
const MOST_KINDS = 1_000

interface Kind {
  since: number
  written: number
  leftOut: number
  /** The last line that was left out. */
  write: (leftOut: number) => void
}

/** Bounds how often lines of one kind are written, so that a failure that repeats fills no disk and hides nothing else. */
export interface Repeats {
  /** Writes the line, or counts it: `write` is told how many were left out since the last one. */
  admit(kind: string, write: (leftOut: number) => void): void
}

export function createRepeats(now: () => number): Repeats {
  const kinds = new Map<string, Kind>()
  let isWaiting = false

  const end = (name: string, kind: Kind): void => {
    kinds.delete(name)
    // The line that is written stands for itself too.
    if (kind.leftOut > 0) kind.write(kind.leftOut - 1)
  }

  const endPast = (): void => {
    isWaiting = false
    for (const [name, kind] of [...kinds]) if (now() - kind.since >= PERIOD_MS) end(name, kind)
    wait()
  }

  const wait = (): void => {
    if (isWaiting || kinds.size === 0) return
    isWaiting = true
    startTimer(endPast, PERIOD_MS).unref()
  }

  return {
    admit(name, write) {
      const known = kinds.get(name)
      if (known !== undefined && now() - known.since >= PERIOD_MS) end(name, known)
      const kind = kinds.get(name) ?? { since: now(), written: 0, leftOut: 0, write }
      if (kind.written < MOST) {
        kind.written++
        write(0)
      } else {
        kind.leftOut++
        kind.write = write
      }
      if (kinds.has(name)) return
      const [oldest] = kinds.size >= MOST_KINDS ? kinds : []
      if (oldest !== undefined) end(...oldest)
      kinds.set(name, kind)
      wait()
    },
  }
}
