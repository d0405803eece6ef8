import { onAbort } from '../../../async/abort.ts'
import { startTimer, type Timer } from '../../../async/timers.ts'
import { TapelineError, toTapelineError } from '../../../errors.ts'
import { SessionLostError } from '../session.ts'
import type { PgSession } from './pg-session.ts'

/** Calls that may wait for a connection; one more is refused with STORE_UNAVAILABLE. */
const MAX_WAITING = 256
/** A connection that nobody has used for so long is closed. */
const IDLE_MS = 60_000
const CLOSE_MS = 5_000

export interface PoolSettings {
  readonly size: number
  readonly open: (signal: AbortSignal) => Promise<PgSession>
  /** How long one use may take, in milliseconds, unless it says otherwise. */
  readonly useMs: number
}

interface Waiter {
  readonly grant: () => void
  readonly refuse: (error: unknown) => void
}

/** Up to `size` connections for uses that follow each other. One that has broken is replaced at the next use. */
export class SessionPool {
  readonly #settings: PoolSettings
  readonly #waiting: Waiter[] = []
  readonly #sessions = new Set<PgSession>()
  readonly #idle: { readonly session: PgSession; readonly timer: Timer }[] = []
  #inUse = 0
  #drained: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(settings: PoolSettings) {
    this.#settings = settings
  }

  /**
   * Runs `work` on a connection of its own. When the signal goes off, or the time is over, the connection is cut, and what it
   * runs is cancelled. Raises what `work` raises; STORE_UNAVAILABLE where the connection is lost; TIMEOUT; SHUTTING_DOWN.
   */
  async use<T>(
    signal: AbortSignal,
    work: (session: PgSession) => Promise<T>,
    useMs: number = this.#settings.useMs,
  ): Promise<T> {
    signal.throwIfAborted()
    await this.#enter(signal)
    try {
      const session = this.#takeIdle() ?? (await this.#open(signal))
      try {
        return await this.#guarded(session, work, signal, useMs)
      } finally {
        this.#giveBack(session)
      }
    } finally {
      this.#leave()
    }
  }

  /** Closes idle connections, and the others once what they run has ended or five seconds have passed. Waiting calls are refused. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #guarded<T>(
    session: PgSession,
    work: (session: PgSession) => Promise<T>,
    signal: AbortSignal,
    useMs: number,
  ): Promise<T> {
    let isLate = false
    const cut = () => session.abort()
    const timer = startTimer(() => {
      isLate = true
      cut()
    }, useMs)
    const off = onAbort(signal, cut)
    try {
      return await work(session)
    } catch (error) {
      signal.throwIfAborted()
      if (isLate)
        throw new TapelineError('TIMEOUT', `The database did not answer within ${useMs} ms.`, {
          cause: error,
        })
      throw error instanceof SessionLostError ? toTapelineError(error, 'STORE_UNAVAILABLE') : error
    } finally {
      timer.stop()
      off()
    }
  }

  #enter(signal: AbortSignal): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closed())
    if (this.#inUse < this.#settings.size) {
      this.#inUse++
      return Promise.resolve()
    }
    if (this.#waiting.length >= MAX_WAITING) {
      const message = `${MAX_WAITING} calls wait for a connection to the database already.`
      return Promise.reject(new TapelineError('STORE_UNAVAILABLE', message))
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        grant: () => {
          off()
          resolve()
        },
        refuse: (error) => {
          off()
          reject(error)
        },
      }
      this.#waiting.push(waiter)
      const off = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        reject(signal.reason)
      })
    })
  }

  /** The place of one who leaves goes to the one who waits longest. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) {
      next.grant()
      return
    }
    this.#inUse--
    if (this.#inUse === 0) this.#drained?.()
  }

  async #open(signal: AbortSignal): Promise<PgSession> {
    const session = await this.#settings.open(signal)
    this.#sessions.add(session)
    return session
  }

  #takeIdle(): PgSession | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.timer.stop()
      if (!idle.session.lost) return idle.session
      this.#sessions.delete(idle.session)
    }
    return undefined
  }

  #giveBack(session: PgSession): void {
    if (session.lost) {
      this.#sessions.delete(session)
      return
    }
    const timer = startTimer(() => void this.#retire(session), IDLE_MS)
    timer.unref()
    this.#idle.push({ session, timer })
  }

  async #retire(session: PgSession): Promise<void> {
    const at = this.#idle.findIndex((idle) => idle.session === session)
    if (at < 0) return
    this.#idle.splice(at, 1)
    this.#sessions.delete(session)
    await session.close().catch(() => session.abort())
  }

  async #close(): Promise<void> {
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(closed())
    if (this.#inUse > 0) {
      const timer = startTimer(() => {
        for (const session of this.#sessions) session.abort()
      }, CLOSE_MS)
      await new Promise<void>((resolve) => {
        this.#drained = resolve
      })
      timer.stop()
    }
    for (const { timer } of this.#idle.splice(0)) timer.stop()
    await Promise.allSettled([...this.#sessions].map((session) => session.close()))
    this.#sessions.clear()
  }
}

function closed(): TapelineError {
  return new TapelineError('SHUTTING_DOWN', 'The store is closed.')
}
