import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type ErrorCode, TapelineError } from '../errors.ts'
import { startTimer } from './timers.ts'

/** A thread that is not open after so long will not be. */
const OPEN_MS = 120_000

/** What a thread can be asked, by name, with what travels each way. */
export type Operations<O> = { [K in keyof O]: { readonly args: unknown; readonly reply: unknown } }

export type Request<O extends Operations<O>, K extends keyof O = keyof O> = {
  [Name in K]: { readonly id: number; readonly op: Name; readonly args: O[Name]['args'] }
}[K]

/** An error as it crosses between threads, where its class does not survive. */
export interface SentError {
  readonly code: ErrorCode
  readonly message: string
  readonly remedy: string
  readonly partitions: TapelineError['partitions']
}

/**
 * The answer to a request. The first message of a thread, under id 0, says whether it is open. `ended`: the thread is of no more use.
 */
export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError; readonly ended?: boolean }

export function sentError({ code, message, remedy, partitions }: TapelineError): SentError {
  return { code, message, remedy, partitions }
}

export function receivedError({ code, message, remedy, partitions }: SentError): TapelineError {
  return new TapelineError(code, message, { remedy, partitions })
}

/** The way to whoever answers, in a thread or in this one, and back. */
export interface Channel<R> {
  /** Sends a request; buffers in `transfer` are handed over. */
  post(request: R, transfer: readonly ArrayBuffer[]): void
  /** Called once, by whoever uses the channel: where replies go, and the end, with its reason where it was none of ours. */
  listen(onReply: (reply: Reply) => void, onEnd: (cause?: unknown) => void): void
  /** Ends it at once, whatever it is doing. */
  terminate(): Promise<void>
}

/** Those that run, with their names. */
const running = new Map<Worker, string>()

/** The heaps of the threads that run: what each uses, and how much V8 gives it, in bytes. One that ends meanwhile is left out. */
export async function threadHeaps(): Promise<
  readonly { readonly name: string; readonly usedBytes: number; readonly mostBytes: number }[]
> {
  const asked = [...running].map(async ([worker, name]) => {
    const { used_heap_size: usedBytes, heap_size_limit: mostBytes } = await worker.getHeapStatistics()
    return { name, usedBytes, mostBytes }
  })
  const answers = await Promise.allSettled(asked)
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
}

/**
 * Starts a thread that runs the file `worker` beside the module whose address is `beside`, and waits until it is open. Gives the way to
 * it, and what it said then. Rejects with what kept it from opening.
 */
export async function openThread<R, T>(
  beside: string,
  name: string,
  settings: unknown,
): Promise<{ readonly channel: Channel<R>; readonly opened: T }> {
  // The file is TypeScript in the checkout and JavaScript in the package.
  const worker = new Worker(new URL(`./worker${extname(beside)}`, beside), { workerData: settings, name })
  running.set(worker, name)
  const first = Promise.withResolvers<Reply>()
  const ended = Promise.withResolvers<unknown>()
  let onReply: (reply: Reply) => void = first.resolve
  let failure: unknown
  worker.on('message', (reply: Reply) => onReply(reply))
  worker.on('error', (error) => {
    failure = error
  })
  worker.on('exit', (code) => {
    running.delete(worker)
    const cause = failure ?? new Error(`its thread ended with code ${code}`)
    ended.resolve(cause)
    first.reject(cause)
  })
  const timer = startTimer(() => first.reject(new Error(`it took longer than ${OPEN_MS} ms`)), OPEN_MS)
  try {
    const reply = await first.promise
    if ('error' in reply) throw receivedError(reply.error)
    const channel: Channel<R> = {
      post: (request, transfer) => worker.postMessage(request, transfer),
      listen(hear, onEnd) {
        onReply = hear
        void ended.promise.then(onEnd)
      },
      terminate: async () => void (await worker.terminate()),
    }
    return { channel, opened: reply.value as T }
  } catch (error) {
    await worker.terminate()
    throw error
  } finally {
    timer.stop()
  }
}
