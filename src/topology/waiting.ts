import { delay } from '../async/timers.ts'
import { type ErrorCode, TapelineError, toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'

/** How long a process waits before it asks a server again that did not answer; each process waits a little differently. */
const RETRY_MS = 1_000
const JITTER_MS = 500
/** How often the process says which server it waits for. */
const SAY_EVERY_MS = 60_000

/** The servers of a configuration as people know them, without secrets; undefined for what runs within this process. */
export interface ServerNames {
  readonly broker: string | undefined
  readonly store: string | undefined
}

/** Waits at start for servers that are not there yet. */
export interface Waiting {
  /**
   * Attempts until it works. Where a server refused or lost the connection it says so, at once and then once a minute, and tries
   * again; every other error is raised, since only a person can cure it. Raises the signal's reason when that aborts.
   */
  until<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T>
}

/** What passes by itself, and which server it is about; a deadline that ran out may be about either. */
const PASSES: Partial<Record<ErrorCode, (names: ServerNames) => string | undefined>> = {
  BROKER_UNAVAILABLE: ({ broker }) => broker,
  STORE_UNAVAILABLE: ({ store }) => store,
  STORE_FULL: ({ store }) => store,
  TIMEOUT: ({ broker, store }) => [broker, store].filter(Boolean).join(' or ') || undefined,
}

export function createWaiting(names: ServerNames, log: Log): Waiting {
  const saidAt = new Map<string, number>()

  const say = (server: string, { code, message }: TapelineError): void => {
    const now = performance.now()
    if (now - (saidAt.get(server) ?? Number.NEGATIVE_INFINITY) < SAY_EVERY_MS) return
    saidAt.set(server, now)
    log.warn({ server, code, reason: message }, `waiting for ${server}; Ctrl-C ends it`)
  }

  return {
    async until(attempt, signal) {
      for (;;) {
        signal.throwIfAborted()
        try {
          return await attempt()
        } catch (thrown) {
          signal.throwIfAborted()
          const error = isTimeout(thrown) ? timedOut(thrown) : toTapelineError(thrown)
          const server = PASSES[error.code]?.(names)
          if (server === undefined) throw thrown
          say(server, error)
        }
        await delay(RETRY_MS + Math.random() * JITTER_MS, signal)
      }
    },
  }
}

function isTimeout(thrown: unknown): thrown is Error {
  return thrown instanceof Error && thrown.name === 'TimeoutError'
}

function timedOut(cause: Error): TapelineError {
  return new TapelineError('TIMEOUT', cause.message, { cause })
}
