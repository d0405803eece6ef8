import { TapelineError } from '../errors.ts'
import { onAbort, untilAborted } from './abort.ts'
import { type Channel, type Operations, type Reply, type Request, receivedError } from './thread.ts'
import { startTimer } from './timers.ts'

/** A thread that hangs is ended after so long. */
const CLOSE_MS = 5_000
/** How often a thread that has ended may be opened again. */
const REOPEN_MS = 1_000

/** What can be asked, `close` among it: after its reply the thread is ended. */
type Closable<O> = Operations<O> & { readonly close: { readonly args: undefined; readonly reply: unknown } }

interface ThreadClientOptions<O extends Closable<O>> {
  readonly channel: Channel<Request<O>>
  /** Opens it again when it has ended; without it that is the end. */
  readonly reopen: (() => Promise<Channel<Request<O>>>) | undefined
  /** What is said once it has ended, or did not open again, for this reason. */
  readonly unavailable: (cause: unknown) => TapelineError
  /** What is said once the client is closed. */
  readonly closed: string
  /** Whether a request may wait so long that nobody waits for it at the close. */
  readonly isGivenUp?: (op: keyof O) => boolean
  /** What a wait rejects with whose signal is aborted; by default the signal's reason. */
  readonly reasonOf?: (signal: AbortSignal) => unknown
  /** It has ended, and is opened again for the next request. */
  readonly onEnd?: (error: TapelineError) => void
}

export interface CallOptions {
  readonly signal?: AbortSignal
  /** Called right before the request is sent; what it raises keeps it from being sent. */
  readonly check?: () => void
  readonly transfer?: readonly ArrayBuffer[]
  /** The request is done with, also where nobody waits for it any more, or its thread has ended. */
  readonly onDone?: () => void
  /** The signal ended the wait; the thread may still work on the request. */
  readonly onAborted?: (id: number) => void
}

interface Pending<O> {
  readonly op: keyof O
  resolve(value: unknown): void
  reject(reason: unknown): void
  done(): void
}

/** Asks a thread and waits for its answers. One that has ended is opened again for the next request. */
export class ThreadClient<O extends Closable<O>> {
  readonly #options: ThreadClientOptions<O>
  readonly #reasonOf: (signal: AbortSignal) => unknown
  readonly #pending = new Map<number, Pending<O>>()
  /** Undefined while the thread has ended. */
  #channel: Channel<Request<O>> | undefined
  #opening: Promise<void> | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  /** Why the thread has ended, or does not open. */
  #cause: unknown
  #lives = 0
  #lastId = 0
  #answeredAt = Number.NEGATIVE_INFINITY
  /** Why no more requests are taken. */
  #refusal: TapelineError | undefined
  #closing: Promise<void> | undefined

  constructor(options: ThreadClientOptions<O>) {
    this.#options = options
    this.#reasonOf = options.reasonOf ?? (({ reason }) => reason)
    this.#listen(options.channel)
  }

  /** Whether the thread runs. */
  get isAlive(): boolean {
    return this.#channel !== undefined
  }

  /** How often it has been opened: what belonged to a former life is gone. */
  get lives(): number {
    return this.#lives
  }

  /** When it last answered anything (performance.now). */
  get answeredAt(): number {
    return this.#answeredAt
  }

  /** Whether the client is closed, or the thread gone for good. */
  get refusing(): boolean {
    return this.#refusal !== undefined
  }

  /**
   * Sends a request and waits for its answer. A signal that is aborted ends the wait, and so does the end of the thread: the request
   * may have been carried out or not. Raises what the thread raises, what is said of one that has ended, SHUTTING_DOWN, or the reason of
   * the signal.
   */
  async call<K extends keyof O>(
    op: K,
    args: O[K]['args'],
    options: CallOptions = {},
  ): Promise<O[K]['reply']> {
    let channel: Channel<Request<O>>
    try {
      channel = this.#channel ?? (await this.#revived(options.signal))
      this.#refuse(options.signal)
      options.check?.()
    } catch (error) {
      options.onDone?.()
      throw error
    }
    return this.#send(channel, op, args, options)
  }

  /** Sends what is not answered, where there is anybody to hear it. */
  tell<K extends keyof O>(op: K, args: O[K]['args']): void {
    if (this.#refusal === undefined) this.#channel?.post({ id: 0, op, args }, [])
  }

  /** Opens the thread again where it has ended, at most once a second; nothing to do otherwise. Raises what `call` raises. */
  async revive(signal?: AbortSignal): Promise<void> {
    if (this.#channel === undefined) await this.#revived(signal)
    this.#refuse(signal)
  }

  /** Ends the thread at once, whatever it does: what it was asked rejects. */
  async terminate(cause?: unknown): Promise<void> {
    const channel = this.#channel
    if (channel === undefined) return
    this.#ended(channel, cause)
    await channel.terminate()
  }

  /** Ends the thread and opens another one. */
  async restart(): Promise<void> {
    await this.terminate()
    await this.#open()
  }

  /** Takes no more requests, waits for those under way, and has the thread close what it holds. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { closed, isGivenUp } = this.#options
    if (this.#refusal !== undefined) return
    this.#refusal = new TapelineError('SHUTTING_DOWN', closed)
    for (const { op, reject } of this.#pending.values()) if (isGivenUp?.(op)) reject(this.#refusal)
    await this.#opening?.catch(() => undefined)
    if (this.#channel === undefined) return
    const deadline = startTimer(() => void this.terminate(), CLOSE_MS)
    try {
      await this.#send(this.#channel, 'close', undefined, {})
    } finally {
      deadline.stop()
      await this.terminate()
    }
  }

  #refuse(signal: AbortSignal | undefined): void {
    if (this.#refusal !== undefined) throw this.#refusal
    if (signal?.aborted) throw this.#reasonOf(signal)
  }

  async #revived(signal: AbortSignal | undefined): Promise<Channel<Request<O>>> {
    this.#refuse(signal)
    if (this.#opening === undefined && performance.now() - this.#triedAt < REOPEN_MS)
      throw this.#options.unavailable(this.#cause)
    const opening = this.#open()
    await (signal === undefined ? opening : untilAborted(opening, signal, this.#reasonOf))
    if (this.#channel === undefined) throw this.#refusal ?? this.#options.unavailable(this.#cause)
    return this.#channel
  }

  #open(): Promise<void> {
    this.#opening ??= this.#openAgain().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #openAgain(): Promise<void> {
    const { reopen, unavailable } = this.#options
    if (reopen === undefined) throw unavailable(this.#cause)
    try {
      const channel = await reopen()
      if (this.#refusal === undefined) this.#listen(channel)
      else await channel.terminate()
    } catch (error) {
      this.#cause = error
      throw error
    } finally {
      // From the end of the attempt on: on a busy machine one takes longer than the pause.
      this.#triedAt = performance.now()
    }
  }

  #listen(channel: Channel<Request<O>>): void {
    this.#channel = channel
    this.#lives++
    this.#cause = undefined
    channel.listen(
      (reply) => this.#receive(reply),
      (cause) => this.#ended(channel, cause),
    )
  }

  #send<K extends keyof O>(
    channel: Channel<Request<O>>,
    op: K,
    args: O[K]['args'],
    { signal, transfer = [], onDone, onAborted }: CallOptions,
  ): Promise<O[K]['reply']> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      const off = onAbort(signal, () => {
        reject(signal && this.#reasonOf(signal))
        onAborted?.(id)
      })
      this.#pending.set(id, {
        op,
        // The thread answers each operation with its own kind of reply.
        resolve: (value) => resolve(value as O[K]['reply']),
        reject,
        done() {
          off()
          onDone?.()
        },
      })
      channel.post({ id, op, args }, transfer)
    })
  }

  #receive(reply: Reply): void {
    this.#answeredAt = performance.now()
    const pending = this.#pending.get(reply.id)
    if (pending === undefined) return
    this.#pending.delete(reply.id)
    pending.done()
    if ('error' in reply) {
      const error = receivedError(reply.error)
      pending.reject(error)
      if (reply.ended) void this.terminate(error)
    } else pending.resolve(reply.value)
  }

  /** A thread that was ended from here says so later, when another one may run already. */
  #ended(channel: Channel<Request<O>>, cause: unknown): void {
    if (this.#channel !== channel) return
    const { reopen, unavailable, onEnd } = this.#options
    const error = unavailable(cause)
    this.#channel = undefined
    this.#cause = cause
    if (this.#refusal === undefined && reopen === undefined) this.#refusal = error
    else if (this.#refusal === undefined) onEnd?.(error)
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { done, reject } of pending) {
      done()
      reject(error)
    }
  }
}
