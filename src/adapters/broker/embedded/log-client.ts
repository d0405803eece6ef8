import { onAbort, untilAborted } from '../../../async/abort.ts'
import { startTimer } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import type { Log } from '../../../ports/log.ts'
import { abortReason } from '../abort-reason.ts'
import type { Channel } from './channel.ts'
import type { Operation, Operations, Reply, RequestOf } from './protocol.ts'

interface Pending {
  readonly op: Operation
  resolve(value: unknown): void
  reject(reason: unknown): void
  /** The log is done with the request, also where nobody waits for it any more. */
  done(): void
}

interface CallOptions {
  readonly signal?: AbortSignal
  /** Called right before the request is sent; what it raises keeps it from being sent. */
  readonly check?: () => void
  readonly transfer?: readonly ArrayBuffer[]
  /** The log is done with the request, or gone. */
  readonly onDone?: () => void
  /** The signal ended the wait; the log may still work on the request. */
  readonly onAborted?: (id: number) => void
}

/** A log that hangs is ended after so long. */
const CLOSE_DEADLINE_MS = 5_000
/** How often a log whose thread has ended may be opened again. */
const REOPEN_MS = 1_000

/** Asks the log and waits for its answers. A log whose thread has ended is opened again for the next request. */
export class LogClient {
  readonly #reopen: (() => Promise<Channel>) | undefined
  readonly #log: Pick<Log, 'error'>
  readonly #pending = new Map<number, Pending>()
  readonly #closed = Promise.withResolvers<void>()
  /** Undefined while the thread has ended. */
  #channel: Channel | undefined
  #opening: Promise<void> | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  #lives = 1
  #lastId = 0
  #answeredAt = Number.NEGATIVE_INFINITY
  /** Why no more requests are taken. */
  #refusal: TapelineError | undefined

  constructor(channel: Channel, reopen: (() => Promise<Channel>) | undefined, log: Pick<Log, 'error'>) {
    this.#reopen = reopen
    this.#log = log
    this.#listen(channel)
  }

  /** Whether the thread of the log runs. */
  get isAlive(): boolean {
    return this.#channel !== undefined
  }

  /** How often the log has been opened: readers of a former life have to begin again. */
  get lives(): number {
    return this.#lives
  }

  /** When the log last answered anything (performance.now). */
  get answeredAt(): number {
    return this.#answeredAt
  }

  /** Whether the log is closed or gone. */
  get refusing(): boolean {
    return this.#refusal !== undefined
  }

  /**
   * Sends a request and waits for its answer. A signal that is aborted ends the wait: the request may have been carried out
   * or not, and so does the end of the log's thread. Raises what the log raises, SHUTTING_DOWN, BROKER_UNAVAILABLE when the thread
   * has ended, TIMEOUT, or the signal's reason.
   */
  async call<O extends Operation>(
    op: O,
    request: Operations[O]['request'],
    options: CallOptions = {},
  ): Promise<Operations[O]['reply']> {
    let channel: Channel
    try {
      channel = this.#channel ?? (await this.#revive(options.signal))
      this.#refuse(options.signal)
      options.check?.()
    } catch (error) {
      options.onDone?.()
      throw error
    }
    return this.#send(channel, op, request, options)
  }

  /** Opens the log again where its thread has ended; nothing to do otherwise. Raises what `call` raises. */
  async revive(signal?: AbortSignal): Promise<void> {
    if (this.#channel === undefined) await this.#revive(signal)
    this.#refuse(signal)
  }

  #refuse(signal: AbortSignal | undefined): void {
    if (this.#refusal !== undefined) throw this.#refusal
    if (signal?.aborted) throw abortReason(signal)
  }

  async #revive(signal: AbortSignal | undefined): Promise<Channel> {
    this.#refuse(signal)
    this.#opening ??= this.#openAgain().finally(() => {
      this.#opening = undefined
    })
    await (signal === undefined ? this.#opening : untilAborted(this.#opening, signal, abortReason))
    if (this.#channel === undefined) throw this.#refusal ?? ended(undefined)
    return this.#channel
  }

  async #openAgain(): Promise<void> {
    if (this.#reopen === undefined || performance.now() - this.#triedAt < REOPEN_MS) throw ended(undefined)
    try {
      const channel = await this.#reopen()
      this.#lives++
      if (this.#refusal === undefined) this.#listen(channel)
      else await channel.terminate()
    } catch (thrown) {
      this.#log.error({ err: thrown }, 'the log whose thread has ended does not open again yet')
      throw ended(thrown)
    } finally {
      // From the end of the attempt on: on a busy machine one takes longer than the pause.
      this.#triedAt = performance.now()
    }
  }

  #listen(channel: Channel): void {
    this.#channel = channel
    channel.listen(
      (reply) => this.#receive(reply),
      (cause) => this.#end(cause),
    )
  }

  #send<O extends Operation>(
    channel: Channel,
    op: O,
    request: Operations[O]['request'],
    { signal, transfer = [], onDone, onAborted }: CallOptions,
  ): Promise<Operations[O]['reply']> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      const off = onAbort(signal, () => {
        reject(abortReason(signal))
        onAborted?.(id)
      })
      this.#pending.set(id, {
        op,
        resolve: (value) => resolve(value as Operations[O]['reply']),
        reject,
        done: () => {
          off()
          onDone?.()
        },
      })
      channel.post({ id, op, ...request } as RequestOf<Operation>, transfer)
    })
  }

  /** Tells the log that an answer to a poll, should it still come, reaches nobody. */
  cancelPoll(session: number, poll: number): void {
    if (this.#refusal === undefined) this.#channel?.post({ op: 'cancelPoll', session, poll }, [])
  }

  /** Takes no more requests, waits for those under way, except polls that wait, and ends the log. */
  async close(): Promise<void> {
    if (this.#refusal !== undefined) return this.#closed.promise
    this.#refusal = new TapelineError('SHUTTING_DOWN', 'The broker is closed.')
    for (const pending of this.#pending.values()) if (pending.op === 'poll') pending.reject(this.#refusal)
    await this.#opening?.catch(() => undefined)
    const channel = this.#channel
    if (channel === undefined) {
      this.#closed.resolve()
      return
    }
    const closed = this.#send(channel, 'close', {}, {})
    const deadline = startTimer(() => channel.terminate(), CLOSE_DEADLINE_MS)
    try {
      await closed
    } finally {
      await this.#closed.promise
      deadline.stop()
    }
  }

  #receive(reply: Reply): void {
    this.#answeredAt = performance.now()
    const pending = this.#pending.get(reply.id)
    if (pending === undefined) return
    this.#pending.delete(reply.id)
    pending.done()
    if ('error' in reply) {
      const { code, message, partitions = [] } = reply.error
      pending.reject(new TapelineError(code, message, { partitions }))
    } else pending.resolve(reply.value)
  }

  #end(cause: unknown): void {
    const unavailable = ended(cause)
    this.#channel = undefined
    if (this.#refusal !== undefined || this.#reopen === undefined) {
      this.#refusal ??= unavailable
      this.#closed.resolve()
    } else this.#log.error({ err: unavailable }, 'the thread of the log has ended; it is opened again')
    for (const pending of this.#pending.values()) {
      pending.done()
      pending.reject(unavailable)
    }
    this.#pending.clear()
  }
}

function ended(cause: unknown): TapelineError {
  return new TapelineError('BROKER_UNAVAILABLE', 'The thread of the embedded broker has ended.', { cause })
}
