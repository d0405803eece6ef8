import { open } from 'node:fs/promises'
import { startInterval } from '../async/timers.ts'
import { TapelineError } from '../errors.ts'
import type { Transition } from '../ports/actors.ts'
import type { Log } from '../ports/log.ts'

export interface TraceFile {
  /** Adds one line; it reaches the file within a second. Never throws and never waits. */
  write(transition: Transition): void
  /** Writes what is left and closes the file. */
  close(): Promise<void>
}

const FLUSH_EVERY_MS = 1_000
/** A buffer of this size is written at once. */
const FLUSH_CHARACTERS = 64 * 1024
/** A disk that is so far behind ends the trace: memory stays bounded, and a trace has no silent hole in the middle. */
const MOST_CHARACTERS = 16 * 1024 * 1024

/**
 * A file of transitions, one JSON line each; a former file of this name is replaced. A failure to write is logged once
 * and ends the trace, nothing else. Raises DATA_FOLDER_UNUSABLE where the file cannot be opened.
 */
export async function openTraceFile(path: string, log: Log): Promise<TraceFile> {
  const file = await open(path, 'w').catch((error: Error) => {
    throw new TapelineError('DATA_FOLDER_UNUSABLE', `the trace file cannot be opened: ${error.message}`, {
      cause: error,
      remedy: 'Give --trace a path in a folder that exists and can be written.',
    })
  })
  let buffer = ''
  let isWriting = false
  let hasEnded = false
  let written = Promise.resolve()

  function end(error: unknown): void {
    hasEnded = true
    buffer = ''
    log.error({ path, err: error }, 'the trace ends here: it could not be written')
  }

  async function drain(): Promise<void> {
    while (buffer !== '' && !hasEnded) {
      const lines = buffer
      buffer = ''
      await file.appendFile(lines)
    }
  }

  function flush(): void {
    if (isWriting) return
    isWriting = true
    written = drain()
      .catch(end)
      .finally(() => {
        isWriting = false
      })
  }

  const timer = startInterval(flush, FLUSH_EVERY_MS)
  timer.unref()

  return {
    write(transition) {
      if (hasEnded) return
      buffer += `${JSON.stringify(transition)}\n`
      if (buffer.length > MOST_CHARACTERS) end(new Error('the disk is too far behind'))
      else if (buffer.length >= FLUSH_CHARACTERS) flush()
    },
    async close() {
      timer.stop()
      await written
      flush()
      await written
      hasEnded = true
      await file.close().catch((error: unknown) => {
        log.error({ path, err: error }, 'the trace file could not be closed')
      })
    },
  }
}
