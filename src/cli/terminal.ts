import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { startTimer } from '../async/timers.ts'
import { createLog, logFormat } from '../telemetry/log.ts'
import type { Terminal } from './command.ts'
import { paint } from './paint.ts'
import { visibleText } from './visible-text.ts'

/** How long the process may take to end by itself after a signal; then it is ended. */
export const END_WITHIN_MS = 12_000

/** So much is written at a time before it is looked whether the reader keeps up. */
const CHUNK_LENGTH = 64 * 1024

/** The terminal, or whatever stands in its place, of this process. Ctrl-C and SIGTERM abort `stop`. */
export function openTerminal(stop: AbortController): Terminal {
  const end = (): void => {
    if (stop.signal.aborted) process.exit(1)
    stop.abort()
    startTimer(() => process.exit(1), END_WITHIN_MS).unref()
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  // A reader such as head may close the pipe: then there is nobody to tell anything.
  process.stdout.on('error', () => process.exit(0))
  const { stdout, stderr } = process
  return {
    ...terminalOver(stdout, stderr, stop.signal),
    columns: stdout.isTTY ? stdout.columns : undefined,
  }
}

/** A terminal over two streams, which shows no width. */
export function terminalOver(stdout: Writable, stderr: NodeJS.WritableStream, signal: AbortSignal): Terminal {
  return {
    stdout,
    print: (...texts) => stdout.write(`${paint(texts, stdout, visibleText)}\n`),
    async printLines(lines) {
      let chunk = ''
      const write = async (): Promise<void> => {
        const isTaken = stdout.write(chunk)
        chunk = ''
        if (!isTaken) await once(stdout, 'drain', { signal })
      }
      for (const line of lines) {
        chunk += `${visibleText(line)}\n`
        if (chunk.length >= CHUNK_LENGTH) await write()
      }
      await write()
    },
    note: (...texts) => stderr.write(`${paint(texts, stderr, visibleText)}\n`),
    columns: undefined,
    signal,
  }
}

/**
 * The same for a command that runs a platform: its standard error is a log, so that what is noted there, where it is no terminal, is a
 * line of the log's format as well.
 */
export function withNotesInLog(terminal: Terminal): Terminal {
  return {
    ...terminal,
    note(...texts) {
      // The configuration may have chosen the format by now.
      if (logFormat() === 'pretty') return terminal.note(...texts)
      const log = createLog({ level: 'info' })
      log.info({}, texts.map((part) => (typeof part === 'string' ? part : part.text)).join(''))
    },
  }
}
