import { onAbort } from '../../../async/abort.ts'
import { type Channel, openThread, type Request } from '../../../async/thread.ts'
import { ThreadClient } from '../../../async/thread-client.ts'
import { pause, startInterval, startTimer, type Timer } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import type { Log } from '../../../ports/log.ts'
import type { StoreJob } from '../../../ports/store.ts'
import { LoadMeter } from './load-meter.ts'
import { MemoryWatch } from './memory-watch.ts'
import type { MaintenanceRequest, OperationName, Operations, Program, WorkerSettings } from './protocol.ts'

/** Calls that may wait; one more is refused with STORE_UNAVAILABLE. */
const MAX_WAITING = 256
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
  readonly serve: () => Promise<void>
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
  readonly #client: ThreadClient<Operations>
  #settings: WorkerSettings
  #serving: Promise<void> | undefined
  #maintaining = false
  #isTooLarge = false
  #closing: Promise<void> | undefined

  private constructor(settings: WorkerSettings, log: Log, channel: Channel<Request<Operations>>) {
    this.#log = log
    this.#settings = settings
    this.#client = new ThreadClient<Operations>({
      channel,
      reopen: async () => (await open(this.#settings)).channel,
      unavailable: (cause) =>
        fullIn(cause) ?? unavailable(`The embedded database has ended${reasonIn(cause)}.`, cause),
      closed: 'The store is closed.',
    })
    this.#ticks = startInterval(() => this.#maintain(), TICK_MS)
    this.#ticks.unref()
  }

  /** Starts the thread. Raises DATA_FOLDER_UNUSABLE, STORE_UNAVAILABLE. */
  static async open(settings: WorkerSettings, log: Log): Promise<StoreHost> {
    const { channel, opened: program } = await open(settings)
    return new StoreHost({ ...settings, program }, log, channel)
  }

  /** Runs an operation when those before it are done. Raises STORE_UNAVAILABLE, TIMEOUT, and what the operation raises. */
  call<K extends OperationName>(
    operation: K,
    args: Operations[K]['args'],
    options: CallOptions,
  ): Promise<Operations[K]['reply']> {
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
  ): Promise<Operations[K]['reply']> {
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
        serve: async () => {
          try {
            const reply = await this.#guarded(this.#client.call(operation, args, { transfer }), options)
            if (operation === 'migrate') this.#settings = { ...this.#settings, maintained: true }
            resolve(reply)
          } catch (error) {
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
      await call.serve()
      if (call.operation !== 'maintain') this.#load.add(performance.now() - began)
    }
    this.#serving = undefined
  }

  async #reopen(): Promise<void> {
    if (this.#client.isAlive) return
    const { lives } = this.#client
    await this.#client.revive()
    if (this.#client.lives === lives) return
    this.#log.warn({}, 'the embedded database had ended; it was opened again')
    this.#memory.reopened()
  }

  /** Closes the database and opens it again, between two calls, since nothing else gives its memory back. */
  async #renew(): Promise<void> {
    this.#isTooLarge = false
    this.#memory.renewed()
    if (!this.#client.isAlive || this.#closing !== undefined) return
    const began = performance.now()
    try {
      await this.#guarded(this.#client.call('close', undefined), { signal: undefined, timeoutMs: CLOSE_MS })
    } catch (error) {
      this.#log.warn({ err: error }, 'the embedded database did not close in order')
    }
    await this.#client.restart()
    const tookMs = Math.round(performance.now() - began)
    this.#log.debug({ tookMs }, 'the embedded database was opened anew, which gives its memory back')
  }

  /** An answer with a deadline, at which the thread is ended. */
  async #guarded<T>(answer: Promise<T>, options: CallOptions): Promise<T> {
    const { timeoutMs = CALL_MS, timedOut } = options
    let expired = false
    const timer = startTimer(() => {
      expired = true
      void this.#client.terminate()
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
    if (this.#maintaining || !this.#client.isAlive) return
    this.#maintaining = true
    void this.#takeSteps(load).finally(() => {
      this.#maintaining = false
    })
  }

  /**
   * One step; and others before the next second, where nobody else has asked for anything lately: half of the time is left to who does. Never
   * rejects.
   */
  async #takeSteps(load: MaintenanceRequest['load']): Promise<void> {
    const next = performance.now() + TICK_MS
    try {
      const { memoryBytes, ...first } = await this.#step(load)
      this.#isTooLarge = this.#memory.look(memoryBytes, load)
      let { task, tookMs } = first
      while (task !== undefined && this.#load.level === 'idle' && performance.now() + tookMs < next) {
        await pause(tookMs, this.#stop.signal)
        if (this.#closing !== undefined || !this.#client.isAlive) return
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
      void this.#client.terminate()
    }, CLOSE_MS)
    try {
      await this.#serving
      await this.#client.close()
    } catch (error) {
      if (!late) throw error
    } finally {
      timer.stop()
    }
  }
}

/** Starts a thread, which says the program that it compiled. */
async function open(settings: WorkerSettings) {
  try {
    return await openThread<Request<Operations>, Program>(import.meta.url, 'tapeline-store', settings)
  } catch (error) {
    if (error instanceof TapelineError) throw error
    throw unavailable(`The embedded database does not open${reasonIn(error)}.`, error)
  }
}

function unavailable(message: string, cause?: unknown): TapelineError {
  return new TapelineError('STORE_UNAVAILABLE', message, { cause })
}

function reasonIn(cause: unknown): string {
  return cause instanceof Error ? `: ${cause.message}` : ''
}

function fullIn(error: unknown): TapelineError | undefined {
  return error instanceof TapelineError && error.code === 'STORE_FULL' ? error : undefined
}
