import { Worker } from 'node:worker_threads'
import { startTimer } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import {
  errorOf,
  type OperationName,
  type Operations,
  type Program,
  type Reply,
  type WorkerSettings,
} from './protocol.ts'

/** This file is TypeScript in the checkout and JavaScript in the package; the worker beside it is of the same kind. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

const OPEN_MS = 120_000

interface Asked {
  readonly id: number
  readonly resolve: (result: unknown) => void
  readonly reject: (error: TapelineError) => void
}

/** One life of the worker thread that holds the database. It is asked one thing at a time. */
export class Thread {
  /** The database's program as it runs here, for the next thread. */
  readonly program: Program
  readonly #worker: Worker
  #asked: Asked | undefined
  #lastId = 0
  #ended = false

  constructor(worker: Worker, program: Program) {
    this.#worker = worker
    this.program = program
    worker.on('message', (reply: Reply) => this.#receive(reply))
    worker.on('error', (error: Error) => this.#end(`The embedded database has ended: ${error.message}`))
    worker.on('exit', () => this.#end('The embedded database has ended.'))
  }

  /** Whether the database has ended, so that a new thread is needed. */
  get ended(): boolean {
    return this.#ended
  }

  /** Asks the database. Rejects with what it raises, or STORE_UNAVAILABLE where it ends before it answers. */
  ask<K extends OperationName>(
    operation: K,
    args: Operations[K]['args'],
    transfer: readonly ArrayBuffer[],
  ): Promise<unknown> {
    if (this.#ended) return Promise.reject(unavailable('The embedded database has ended.'))
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#asked = { id, resolve, reject }
      this.#worker.postMessage({ id, operation, args }, transfer)
    })
  }

  /** Ends the thread at once, whatever it does. Files are as after the end of a process: the next open recovers them. */
  async terminate(): Promise<void> {
    this.#end('The embedded database was ended.')
    await this.#worker.terminate()
  }

  #receive(reply: Reply): void {
    if (reply.kind === 'opened' || reply.kind === 'unopened') return
    const asked = this.#asked
    if (asked === undefined || asked.id !== reply.id) return
    this.#asked = undefined
    if (reply.kind === 'done') asked.resolve(reply.result)
    else asked.reject(errorOf(reply.error))
    if (reply.kind === 'ended') void this.terminate()
  }

  #end(message: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#asked?.reject(unavailable(message))
    this.#asked = undefined
  }
}

/** Starts a thread and waits until its database is open. Rejects with what kept it from opening. */
export async function openThread(settings: WorkerSettings): Promise<Thread> {
  const worker = new Worker(WORKER, { workerData: settings, name: 'tapeline-store' })
  try {
    const reply = await firstReply(worker)
    if (reply.kind === 'unopened') throw errorOf(reply.error)
    if (reply.kind !== 'opened') throw new Error('it answered before it was asked')
    return new Thread(worker, reply.program)
  } catch (error) {
    await worker.terminate()
    if (error instanceof TapelineError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw unavailable(`The embedded database does not open: ${reason}`, error)
  }
}

function firstReply(worker: Worker): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const timer = startTimer(() => reject(new Error(`it took longer than ${OPEN_MS} ms`)), OPEN_MS)
  worker.once('message', resolve)
  worker.once('error', reject)
  worker.once('exit', () => reject(new Error('its thread ended')))
  return promise.finally(() => timer.stop())
}

export function unavailable(message: string, cause?: unknown): TapelineError {
  return new TapelineError('STORE_UNAVAILABLE', message, { cause })
}
