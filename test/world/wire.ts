import { toTapelineError } from '../../src/errors.ts'
import type { Lease } from '../../src/ports/streams.ts'
import type { Host } from './clock.ts'
import { runAs } from './clock.ts'
import type { Surroundings } from './link.ts'
import type { Door } from './platform-process.ts'

/** How long a message to or from an application travels, in milliseconds. */
export const LATENCY_MS = 1
/** How long an application waits for an answer before it asks again, perhaps somewhere else. */
export const ANSWER_MS = 20_000
/** What one message takes from the connection of a slow application, in milliseconds. */
const SLOW_MS = 20

/** A gateway as applications find it. */
export interface Gateway {
  readonly host: Host
  readonly door: Door
}

/** The application's end of a connection to a gateway. */
export interface Wire {
  readonly host: Host
  /** Reads a stream, from a cursor where there is one. */
  subscribe(stream: string, cursor: string | undefined): void
  /** Asks for a new stream and reads it, where that can be said on its connection. */
  request?(spec: object, ttl: number): void
  /** Reads a stream no longer, where that can be said on its connection. */
  leave?(stream: string): void
  /** The application goes away. Nothing reaches it from then on. */
  hangUp(): void
}

/** Who is at the application's end. */
export interface Reader {
  readonly name: string
  readonly isSlow: boolean
  /** Gets a message, as text. */
  receive(text: string): void
}

/** The way of messages to an application: in order, each after the one before. */
export class Way {
  pendingBytes = 0
  readonly #around: Surroundings
  readonly #reader: Reader
  #arrival = 0
  #isOpen = true

  constructor(around: Surroundings, reader: Reader) {
    this.#around = around
    this.#reader = reader
  }

  /** Nothing arrives any more. */
  close(): void {
    this.#isOpen = false
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  send(text: string, bytes: number, onTaken: () => void): void {
    const { clock, random } = this.#around
    this.pendingBytes += bytes
    const delayMs = (this.#reader.isSlow ? SLOW_MS : 0) + random() * LATENCY_MS
    this.#arrival = Math.max(this.#arrival, clock.now) + delayMs
    clock.after(undefined, this.#arrival - clock.now, () => {
      if (!this.#isOpen) return
      this.pendingBytes -= bytes
      onTaken()
      this.#reader.receive(text)
    })
  }
}

/** A connection to Delivery itself, without the protocol of the gateway. */
export function openDirectWire(around: Surroundings, { host, door }: Gateway, reader: Reader): Wire {
  const { clock } = around
  const way = new Way(around, reader)
  const waiting = new Set<() => void>()
  const wake = (): void => {
    for (const look of waiting) clock.after(host, 0, look)
  }
  const send = (bytes: Uint8Array): void => {
    if (way.isOpen) way.send(Buffer.from(bytes).toString(), bytes.length, wake)
  }
  const endpoint = {
    id: `${reader.name}-${clock.now}`,
    get closed() {
      return !way.isOpen
    },
    get pendingBytes() {
      return way.pendingBytes
    },
    send: (message: object) => send(Buffer.from(JSON.stringify(message))),
    sendEncoded: send,
    drained: (below: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (way.pendingBytes >= below && way.isOpen) return
          settle()
          resolve()
        }
        const onAbort = (): void => {
          settle()
          reject(signal.reason)
        }
        const settle = (): void => {
          waiting.delete(look)
          signal.removeEventListener('abort', onAbort)
        }
        waiting.add(look)
        signal.addEventListener('abort', onAbort, { once: true })
        look()
      }),
  }
  const connection = runAs(host, () => door.delivery.connect(reader.name, endpoint))
  return {
    host,
    subscribe: (stream, cursor) =>
      void clock.after(host, LATENCY_MS, () => connection.subscribe(stream, cursor)),
    hangUp() {
      way.close()
      clock.after(host, LATENCY_MS, () => connection.close())
    },
  }
}

/** Calls any of the gateways; a failure is an answer as well. */
export function callGateway(
  { clock, random }: Surroundings,
  gateways: readonly Gateway[],
  work: (gateway: Gateway) => Promise<Lease | undefined>,
): Promise<{ readonly lease: Lease | undefined } | { readonly code: string }> {
  const gateway = gateways[Math.floor(random() * gateways.length)]
  return new Promise((resolve) => {
    const late = clock.after(undefined, ANSWER_MS, () => resolve({ code: 'no answer' }))
    const answer = (how: { readonly lease: Lease | undefined } | { readonly code: string }): void => {
      clock.after(undefined, LATENCY_MS, () => {
        late.cancel()
        resolve(how)
      })
    }
    if (gateway === undefined) return answer({ code: 'no gateway' })
    clock.after(gateway.host, LATENCY_MS, () => {
      work(gateway).then(
        (lease) => answer({ lease }),
        (error: unknown) => answer({ code: toTapelineError(error, 'TIMEOUT').code }),
      )
    })
  })
}
