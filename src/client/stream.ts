import { onAbort } from '../async/abort.ts'
import { delay } from '../async/timers.ts'
import type { Channel } from '../domain/events.ts'
import { type Address, ApiError, backOff, call, isPassing } from './http.ts'
import { openSocket, type ServerMessage, type StreamSocket } from './socket.ts'
import type { Batch, End, FieldOf, Reset, Slow, StreamEvent, StreamInfo } from './types.ts'

/** Events that wait for the loop. Beyond them the connection is closed, and made again from there when they are taken. */
const MOST_WAITING = 20_000

/**
 * A stream that is read by a loop, of events or of batches, by one at a time. It connects when the loop begins, and connects again and
 * resumes by itself. When the loop is left it disconnects; the stream lives on for its `ttl`.
 */
export interface Stream<C extends Channel, F extends FieldOf<C> = FieldOf<C>>
  extends AsyncIterable<StreamEvent<C, F> | Reset | End> {
  /** Batches with their cursors, for who stores the place together with what came of the events. */
  batches(): AsyncIterable<Batch<C, F> | Reset | End>
  /** The id of the stream; undefined until it is made. */
  readonly id: string | undefined
  /** Where to resume: after the last batch of which the loop has taken all events. Undefined before the first. */
  readonly cursor: string | undefined
}

/** Where a stream begins: it is made, or is there already. */
export type Beginning =
  | { readonly request: object }
  | { readonly stream: string; readonly cursor?: string | undefined }

/** A stream that is made and read by whoever loops over it. */
export function createStream<C extends Channel, F extends FieldOf<C>>(
  address: Address,
  channel: C,
  beginning: Beginning,
  { signal, slow }: { readonly signal?: AbortSignal | undefined; readonly slow?: Slow | undefined } = {},
): Stream<C, F> {
  let id = 'stream' in beginning ? beginning.stream : undefined
  let cursor = 'stream' in beginning ? beginning.cursor : undefined

  /** Makes the stream; what it answers has the cursor of the beginning, where it has one. */
  const make = async (stop: AbortSignal): Promise<string> => {
    if (id !== undefined) return id
    const request = 'request' in beginning ? beginning.request : {}
    const info = await call<StreamInfo>(address, '/v1/streams', {
      method: 'POST',
      body: request,
      signal: stop,
    })
    cursor ??= info.cursor
    id = info.id
    return id
  }

  async function* batches(): AsyncGenerator<Batch<C, F> | Reset | End> {
    const inbox = new Inbox(signal)
    // Ahead of what the loop has taken, by what waits for it.
    let arrived = cursor
    /** Of a stream that has moved to another channel the platform says what follows. */
    let kind: Channel = channel
    try {
      for (let failures = 0; ; ) {
        inbox.refuseAborted()
        try {
          const stream = await make(inbox.signal)
          arrived ??= cursor
          inbox.connect(address, {
            op: 'subscribe',
            stream,
            ...(arrived !== undefined && { cursor: arrived }),
            ...(slow !== undefined && { slow }),
          })
          for await (const message of inbox.messages()) {
            switch (message.op) {
              case 'subscribed':
                failures = 0
                arrived = message.cursor
                cursor ??= message.cursor
                kind = message.channel ?? kind
                break
              case 'data': {
                failures = 0
                arrived = message.cursor
                const events = message.events as StreamEvent<C, F>[]
                for (const event of events) Object.assign(event, { type: kind })
                const { skipped } = message
                yield {
                  type: 'data',
                  events,
                  cursor: message.cursor,
                  ...(skipped !== undefined && { skipped }),
                }
                cursor = message.cursor
                break
              }
              case 'reset':
                arrived = message.cursor
                yield { type: 'reset', reason: message.reason, cursor: message.cursor }
                cursor = message.cursor
                break
              case 'end':
                yield { type: 'end', reason: message.reason }
                return
              case 'error':
                throw refusalOf(message)
              case 'pong':
                break
            }
          }
          if (inbox.wasFull) continue
          // A browser does not say why a WebSocket was refused: the same key and stream by HTTP do.
          await call(address, `/v1/streams/${encodeURIComponent(stream)}`, { signal: inbox.signal })
        } catch (error) {
          inbox.refuseAborted()
          if (error instanceof ApiError && error.code === 'STREAM_UNKNOWN') {
            yield { type: 'end', reason: error.message }
            return
          }
          if (!isPassing(error)) throw error
        }
        await delay(backOff(failures++), inbox.signal)
      }
    } finally {
      inbox.close()
    }
  }

  return {
    get id() {
      return id
    },
    get cursor() {
      return cursor
    },
    batches,
    async *[Symbol.asyncIterator]() {
      for await (const batch of batches()) {
        if (batch.type === 'data') yield* batch.events
        else yield batch
      }
    },
  }
}

/** Refusals that the platform takes back by itself. */
const PASSING = new Set(['SHUTTING_DOWN', 'INTERNAL', 'TIMEOUT', 'CONTROL_UNAVAILABLE', 'BROKER_UNAVAILABLE'])

function refusalOf({ code, message, remedy = '' }: ServerMessage & { readonly op: 'error' }): ApiError {
  return new ApiError({ code, detail: message, remedy }, PASSING.has(code) ? 503 : 400)
}

/** What has arrived and was not taken yet, on one connection after another. */
class Inbox {
  readonly #given: AbortSignal | undefined
  readonly #stop = new AbortController()
  readonly #off: () => void
  #socket: StreamSocket | undefined
  #waiting: ServerMessage[] = []
  #events = 0
  #isConnected = false
  #wake = (): void => {}
  /** Whether the last connection was closed since too much waited. */
  wasFull = false

  constructor(signal: AbortSignal | undefined) {
    this.#given = signal
    this.#off = onAbort(signal, () => {
      this.#stop.abort(signal?.reason)
      this.#leave()
    })
  }

  /** It aborts with the signal of the application. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  refuseAborted(): void {
    this.#given?.throwIfAborted()
  }

  connect(address: Address, subscribe: object): void {
    this.#waiting = []
    this.#events = 0
    this.wasFull = false
    this.#isConnected = true
    const socket = openSocket(address, {
      onOpen: () => socket.send(subscribe),
      onMessage: (message) => this.#take(message),
      onGone: () => this.#leave(),
    })
    this.#socket = socket
  }

  /** What arrives, until the connection is over and all of it is taken. Raises the reason of the signal. */
  async *messages(): AsyncGenerator<ServerMessage> {
    for (;;) {
      this.refuseAborted()
      const message = this.#waiting.shift()
      if (message !== undefined) {
        if (message.op === 'data') this.#events -= message.events.length
        yield message
      } else if (this.#isConnected) {
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await promise
      } else return
    }
  }

  close(): void {
    this.#off()
    this.#leave()
  }

  #take(message: ServerMessage): void {
    this.#waiting.push(message)
    if (message.op === 'data') this.#events += message.events.length
    if (this.#events > MOST_WAITING) {
      this.wasFull = true
      this.#leave()
    }
    this.#wake()
  }

  #leave(): void {
    this.#socket?.close()
    this.#isConnected = false
    this.#wake()
  }
}
