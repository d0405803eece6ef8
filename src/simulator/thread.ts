import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { startTimer } from '../async/timers.ts'
import { TapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import type { Simulator, SimulatorStats } from './simulator.ts'
import type { SentError, ThreadOptions, ThreadReport, ThreadRequest } from './thread-messages.ts'

/** An answer of the thread is waited for this long, in ms. */
const ANSWER_WITHIN = 10_000

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: TapelineError) => void
}

/** The requests that a thread has not answered yet; each has a deadline. */
class ThreadCalls {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  constructor(worker: Worker) {
    this.#worker = worker
  }

  async ask(request: Ask): Promise<unknown> {
    this.#lastId++
    const id = this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(id, { resolve, reject })
    const deadline = startTimer(
      () => reject(new TapelineError('TIMEOUT', `the simulator's thread did not answer ${request.op}`)),
      ANSWER_WITHIN,
    )
    try {
      this.#worker.postMessage({ ...request, id } satisfies ThreadRequest)
      return await promise
    } finally {
      deadline.stop()
      this.#waiting.delete(id)
    }
  }

  answer(id: number, value: unknown): void {
    this.#waiting.get(id)?.resolve(value)
  }

  fail(id: number, error: TapelineError): void {
    this.#waiting.get(id)?.reject(error)
  }

  failAll(error: TapelineError): void {
    for (const { reject } of this.#waiting.values()) reject(error)
  }
}

type Ask =
  | { readonly op: 'stats' | 'close' }
  | { readonly op: 'misbehave'; readonly modes: readonly string[] }

/**
 * `startSimulator` in a worker thread, so that its work is not done in this one. `log` gets what the thread has to say.
 * Raises what `startSimulator` raises, and INTERNAL when the thread ends by itself.
 */
export async function startSimulatorThread(options: ThreadOptions = {}, log?: Log): Promise<Simulator> {
  // The file is TypeScript in the checkout and JavaScript in the package.
  const file = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)
  const worker = new Worker(file, { workerData: options })
  const calls = new ThreadCalls(worker)
  const ready = Promise.withResolvers<Extract<ThreadReport, { op: 'ready' }>>()
  const end = Promise.withResolvers<void>()
  // Whoever awaits `done` still learns of a failure; without a listener it must not end the process.
  end.promise.catch(() => {})
  const exited = Promise.withResolvers<void>()
  let closing = false

  const broken = (error: TapelineError) => {
    ready.reject(error)
    end.reject(error)
    calls.failAll(error)
    if (!closing) log?.error({ code: error.code }, error.message)
  }
  worker.on('message', (report: ThreadReport) => {
    switch (report.op) {
      case 'ready':
        return ready.resolve(report)
      case 'refused':
        closing = true
        return ready.reject(received(report.error))
      case 'answer':
        return calls.answer(report.id, report.value)
      case 'failed':
        return calls.fail(report.id, received(report.error))
      case 'done':
        return end.resolve()
      case 'broken':
        return end.reject(received(report.error))
      case 'log':
        return log?.[report.level](report.fields, report.message)
    }
  })
  worker.on('error', (error) => {
    broken(new TapelineError('INTERNAL', `the simulator's thread failed: ${error}`, { cause: error }))
  })
  worker.on('exit', () => {
    exited.resolve()
    if (!closing) broken(new TapelineError('INTERNAL', "the simulator's thread has ended"))
  })

  const { port, url, websocketUrl } = await ready.promise
  return {
    port,
    url,
    websocketUrl,
    stats: async () => (await calls.ask({ op: 'stats' })) as SimulatorStats,
    misbehave: async (modes) => {
      await calls.ask({ op: 'misbehave', modes })
    },
    done: end.promise,
    async close() {
      if (closing) return exited.promise
      closing = true
      try {
        await calls.ask({ op: 'close' })
        await exited.promise
      } finally {
        await worker.terminate()
      }
    },
  }
}

function received({ code, message, remedy }: SentError): TapelineError {
  return new TapelineError(code, message, { remedy })
}
