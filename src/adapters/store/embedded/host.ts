import { onAbort } from '../../../async/abort.ts'
import { pause, startInterval, startTimer, type Timer } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import type { Log } from '../../../ports/log.ts'
import type { StoreJob } from '../../../ports/store.ts'
import { LoadMeter } from './load-meter.ts'
import { MemoryWatch } from './memory-watch.ts'
import type { MaintenanceRequest, OperationName, Operations, WorkerSettings } from './protocol.ts'
import { openThread, type Thread, unavailable } from './thread.ts'

/** Calls that may wait; one more is refused with STORE_UNAVAILABLE. */
const MAX_WAITING = 256
/** How often the database may be opened again. */
const REOPEN_MS = 1000
const TICK_MS = 1000
const CLOSE_MS = 5000
/** No call of ours takes this long; one that does will not end. */
const CALL_MS = 60_000

export interface CallOptions {
  /** Dropped while it waits; once it runs it goes on, unheard. */
  readonly signal: AbortSignal | undefined
  readonly transfer?: readonly ArrayBuffer[]
  /** After so long in the thread, the thread is ended: nothing else interrupts WebAssembly. */
  readonly timeoutMs?: number
  readonly timedOut?: () => TapelineError
}

interface Call {
  readonly operation: OperationName
  readonly serve: (thread: Thread) => Promise<void>
  readonly reject: (error: unknown) => void
}

/**
 * Keeps the thread that holds the database: a bounded queue in front of it, one call at a time in it, a new thread when it
 * has ended or holds much memory for nothing, and maintenance in between.
 */
export class StoreHost {
  readonly #log: Log
  readonly #waiting: Call[] = []
  readonly #load = new LoadMeter()
  readonly #memory = new MemoryWatch()
  readonly #ticks: Timer
  /** What each task of maintenance came to the last time. */
  readonly #jobs = new Map<string, string | undefined>()
  readonly #stop = new AbortController()
  #settings: WorkerSettings
  #thread: Thread
  /** Why the thread has ended, or does not open, where it is for want of room. */
  #full: TapelineError | undefined
  #reopenedAt = Number.NEGATIVE_INFINITY
  #serving: Promise<void> | undefined
  #maintaining = false
  #isTooLarge = false
  #closing: Promise<void> | undefined

  private constructor(settings: WorkerSettings, log: Log, thread: Thread) {
    this.#log = log
    this.#thread = thread
    this.#settings = { ...settings, program: thread.program }
    this.#ticks = startInterval(() => this.#maintain(), TICK_MS)
    this.#ticks.unref()
  }

  /** Starts the thread. Raises DATA_FOLDER_UNUSABLE, STORE_UNAVAILABLE. */
  static async open(settings: WorkerSettings, log: Log): Promise<StoreHost> {
    return new StoreHost(settings, log, await openThread(settings))
  }

  /** Runs an operation when those before it are done. Raises STORE_UNAVAILABLE, TIMEOUT, and what the operation raises. */
  call<K extends OperationName>(
    operation: K,
    args: Operations[K]['args'],
    options: CallOptions,
  ): Promise<Operations[K]['result']> {
    if (this.#closing !== undefined)
      return Promise.reject(new TapelineError('SHUTTING_DOWN', 'The store is closed.'))
    return this.#enqueue(operation, args, options)
  }

  /** How maintenance fares. */
  jobs(): readonly StoreJob[] {
    return [...this.#jobs].map(([name, failure]) => ({ name, failure }))
  }

  /** Lets what runs end, writes a checkpoint and closes the database, within five seconds. Waiting calls are refused. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #enqueue<K extends OperationName>(
    operation: K,
    args: Operations[K]['args'],
    options: CallOptions,
  ): Promise<Operations[K]['result']> {
    const { signal, transfer = [] } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(unavailable(`${MAX_WAITING} calls of the store wait already.`))
    }
    return new Promise((resolve, reject) => {
      const call: Call = {
        operation,
        reject: (error) => {
          off()
          reject(error)
        },
        serve: async (thread) => {
          try {
            const result = await this.#guarded(thread, thread.ask(operation, args, transfer), options)
            if (operation === 'migrate') this.#settings = { ...this.#settings, maintained: true }
            // The thread answers an operation with its own kind of result (`worker.ts`).
            resolve(result as Operations[K]['result'])
          } catch (error) {
            if (thread.ended) this.#full = fullIn(error)
            reject(error)
          } finally {
            off()
          }
        },
      }
      this.#waiting.push(call)
      const off = onAbort(signal, () => {
        const at = this.#waiting.indexOf(call)
        if (at >= 0) this.#waiting.splice(at, 1)
        reject(signal?.reason)
      })
      this.#serving ??= this.#serve()
    })
  }

  /** Serves the queue until it is empty. Never rejects: each call has its own answer. */
  async #serve(): Promise<void> {
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) {
      try {
        if (this.#isTooLarge) await this.#renew()
        await this.#reopen()
      } catch (error) {
        for (const refused of [call, ...this.#waiting.splice(0)]) refused.reject(error)
        break
      }
      const began = performance.now()
      await call.serve(this.#thread)
      if (call.operation !== 'maintain') this.#load.add(performance.now() - began)
    }
    this.#serving = undefined
  }

  async #reopen(): Promise<void> {
    if (!this.#thread.ended) return
    if (performance.now() - this.#reopenedAt < REOPEN_MS)
      throw this.#full ?? unavailable('The embedded database has ended.')
    this.#log.warn({}, 'the embedded database has ended; opening it again')
    await this.#openThread()
    this.#memory.reopened()
  }

  async #openThread(): Promise<void> {
    try {
      this.#thread = await openThread(this.#settings)
      this.#full = undefined
    } catch (error) {
      this.#full = fullIn(error)
      throw error
    } finally {
      // From the end of the attempt on: on a busy machine one takes longer than the pause.
      this.#reopenedAt = performance.now()
    }
  }

  /** Closes the database and opens it again, between two calls, since nothing else gives its memory back. */
  async #renew(): Promise<void> {
    this.#isTooLarge = false
    this.#memory.renewed()
    if (this.#thread.ended || this.#closing !== undefined) return
    const began = performance.now()
    try {
      const options = { signal: undefined, timeoutMs: CLOSE_MS }
      await this.#guarded(this.#thread, this.#thread.ask('close', undefined, []), options)
    } catch (error) {
      this.#log.warn({ err: error }, 'the embedded database did not close in order')
    }
    await this.#thread.terminate()
    await this.#openThread()
    const tookMs = Math.round(performance.now() - began)
    this.#log.info({ tookMs }, 'the embedded database was opened anew, which gives its memory back')
  }

  /** An answer with a deadline, at which the thread is ended. */
  async #guarded(thread: Thread, answer: Promise<unknown>, options: CallOptions): Promise<unknown> {
    const { timeoutMs = CALL_MS, timedOut } = options
    let expired = false
    const timer = startTimer(() => {
      expired = true
      void thread.terminate()
    }, timeoutMs)
    try {
      return await answer
    } catch (error) {
      if (!expired) throw error
      throw timedOut?.() ?? new TapelineError('TIMEOUT', `The store did not answer within ${timeoutMs} ms.`)
    } finally {
      timer.stop()
    }
  }

  #maintain(): void {
    const load = this.#load.tick()
    if (this.#maintaining || this.#thread.ended) return
    this.#maintaining = true
    void this.#takeSteps(load).finally(() => {
      this.#maintaining = false
    })
  }

  /** One step; and others where nobody else has asked for anything lately: half of the time is left to who does. Never rejects. */
  async #takeSteps(load: MaintenanceRequest['load']): Promise<void> {
    try {
      const { memoryBytes, ...first } = await this.#step(load)
      this.#isTooLarge = this.#memory.look(memoryBytes, load)
      let { task, tookMs } = first
      while (task !== undefined && this.#load.level === 'idle') {
        await pause(tookMs, this.#stop.signal)
        if (this.#closing !== undefined || this.#thread.ended) return
        ;({ task, tookMs } = await this.#step('idle'))
      }
    } catch (error) {
      if (this.#closing === undefined) this.#log.warn({ err: error }, 'maintenance of the store failed')
    }
  }

  async #step(load: MaintenanceRequest['load']) {
    const began = performance.now()
    const report = await this.#enqueue('maintain', { load }, { signal: undefined })
    const { task, failed, did, problem } = report
    if (task !== undefined) this.#jobs.set(task, failed ? problem : undefined)
    if (did !== undefined) this.#log.debug({ did }, 'maintenance of the store')
    if (problem !== undefined) this.#log.warn({ problem }, 'maintenance of the store')
    return { ...report, tookMs: performance.now() - began }
  }

  async #close(): Promise<void> {
    this.#ticks.stop()
    this.#stop.abort()
    for (const call of this.#waiting.splice(0))
      call.reject(new TapelineError('SHUTTING_DOWN', 'The store is closing.'))
    let late = false
    const timer = startTimer(() => {
      late = true
      this.#log.warn({}, `the store did not close within ${CLOSE_MS} ms and was ended`)
      void this.#thread.terminate()
    }, CLOSE_MS)
    try {
      await this.#serving
      if (!this.#thread.ended) await this.#thread.ask('close', undefined, [])
    } catch (error) {
      if (!late) throw error
    } finally {
      timer.stop()
      await this.#thread.terminate()
    }
  }
}

function fullIn(error: unknown): TapelineError | undefined {
  return error instanceof TapelineError && error.code === 'STORE_FULL' ? error : undefined
}
