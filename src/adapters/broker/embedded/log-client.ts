import { startTimer } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
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
  readonly transfer?: readonly ArrayBuffer[]
  /** The log is done with the request, or gone. */
  readonly onDone?: () => void
  /** The signal ended the wait; the log may still work on the request. */
  readonly onAbort?: (id: number) => void
}

/** A log that hangs is ended after so long. */
const CLOSE_DEADLINE_MS = 5_000

/** Asks the log and waits for its answers. */
export class LogClient {
  readonly #channel: Channel
  readonly #pending = new Map<number, Pending>()
  readonly #ended = Promise.withResolvers<void>()
  #lastId = 0
  /** Why no more requests are taken. */
  #refusal: TapelineError | undefined

  constructor(channel: Channel) {
    this.#channel = channel
    channel.listen(
      (reply) => this.#receive(reply),
      (cause) => this.#end(cause),
    )
  }

  /** Whether the log is closed or gone. */
  get refusing(): boolean {
    return this.#refusal !== undefined
  }

  /**
   * Sends a request and waits for its answer. A signal that is aborted ends the wait: the request may have been carried out
   * or not. Raises what the log raises, SHUTTING_DOWN, BROKER_UNAVAILABLE when the log is gone, TIMEOUT, or the signal's reason.
   */
  async call<O extends Operation>(
    op: O,
    request: Operations[O]['request'],
    options: CallOptions = {},
  ): Promise<Operations[O]['reply']> {
    if (this.#refusal !== undefined || options.signal?.aborted) {
      options.onDone?.()
      throw this.#refusal ?? abortReason(options.signal)
    }
    return this.#send(op, request, options)
  }

  #send<O extends Operation>(
    op: O,
    request: Operations[O]['request'],
    { signal, transfer = [], onDone, onAbort }: CallOptions,
  ): Promise<Operations[O]['reply']> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      const abort = () => {
        reject(abortReason(signal))
        onAbort?.(id)
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#pending.set(id, {
        op,
        resolve: (value) => resolve(value as Operations[O]['reply']),
        reject,
        done: () => {
          signal?.removeEventListener('abort', abort)
          onDone?.()
        },
      })
      this.#channel.post({ id, op, ...request } as RequestOf<Operation>, transfer)
    })
  }

  /** Tells the log that an answer to a poll, should it still come, reaches nobody. */
  cancelPoll(session: number, poll: number): void {
    if (this.#refusal === undefined) this.#channel.post({ op: 'cancelPoll', session, poll }, [])
  }

  /** Takes no more requests, waits for those under way, except polls that wait, and ends the log. */
  async close(): Promise<void> {
    if (this.#refusal !== undefined) return this.#ended.promise
    this.#refusal = new TapelineError('SHUTTING_DOWN', 'The broker is closed.')
    for (const pending of this.#pending.values()) if (pending.op === 'poll') pending.reject(this.#refusal)
    const closed = this.#send('close', {}, {})
    const deadline = startTimer(() => this.#channel.terminate(), CLOSE_DEADLINE_MS)
    try {
      await closed
    } finally {
      await this.#ended.promise
      deadline.stop()
    }
  }

  #receive(reply: Reply): void {
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
    const unavailable = new TapelineError(
      'BROKER_UNAVAILABLE',
      'The thread of the embedded broker has ended.',
      {
        cause,
      },
    )
    this.#refusal ??= unavailable
    for (const pending of this.#pending.values()) {
      pending.done()
      pending.reject(unavailable)
    }
    this.#pending.clear()
    this.#ended.resolve()
  }
}
