import { decodeCursor } from '../../src/domain/cursor.ts'
import { fixedTopic } from '../../src/domain/events.ts'
import { parseStreamRequest, type StreamRequest } from '../../src/domain/stream-spec.ts'
import { toTapelineError } from '../../src/errors.ts'
import { beginningOf } from '../../src/gateway/beginning.ts'
import type { Connection } from '../../src/ports/delivery.ts'
import type { Lease } from '../../src/ports/streams.ts'
import type { AppEndpoint, AppMessage } from '../../src/ports/transport.ts'
import { type Host, runAs } from './clock.ts'
import type { Surroundings } from './link.ts'
import type { Door } from './platform-process.ts'

const LATENCY_MS = 1
const RETRY_MS = 700
/** How long an application waits for an answer before it asks again, perhaps somewhere else. */
const ANSWER_MS = 20_000
/** What one message takes from the socket of a slow application, in milliseconds. */
const SLOW_MS = 20

/** A gateway as applications find it. */
export interface Gateway {
  readonly host: Host
  readonly door: Door
}

/** What an application got of its stream in one piece: from a cursor on, until it was told `reset`. */
export interface Part {
  /** Whether it began with a cursor, or where the gateway said; and why, where it began with a `reset`. */
  readonly topicId: string
  readonly offset: number
  readonly reset: string | undefined
  /** The events, as text. */
  readonly events: string[]
  cursor: string
}

type Ending = 'live' | 'deleting' | 'deleted' | 'told'

/** One application with one stream: asks for it, reads it over any gateway, resumes by cursor, and may give it up. */
export class Application {
  readonly name: string
  readonly request: StreamRequest
  readonly parts: Part[] = []
  readonly complaints: string[] = []
  lease: Lease | undefined
  ending: Ending = 'live'
  readonly #around: Surroundings
  readonly #gateways: () => readonly Gateway[]
  /** The identities of topics that somebody else has deleted. */
  readonly #takenAway: ReadonlySet<string>
  readonly #isSlow: boolean
  #connected:
    | {
        readonly host: Host
        readonly connection: Connection
        readonly endpoint: AppEndpoint & { closed: boolean }
      }
    | undefined
  /** How often it has asked for a new stream in the place of one whose topic was gone. */
  #asked = 0
  /** Whether nothing is known of its present stream yet. */
  #isNew = true
  #isOver = false

  constructor(
    around: Surroundings,
    gateways: () => readonly Gateway[],
    takenAway: ReadonlySet<string>,
    name: string,
    request: {
      readonly channel: 'trade' | 'quote' | 'status'
      readonly symbols: readonly string[]
      readonly ttl: number
    },
  ) {
    this.#around = around
    this.#gateways = gateways
    this.#takenAway = takenAway
    this.name = name
    this.#isSlow = around.random() < 0.2
    this.request = parseStreamRequest(request)
  }

  /** The cursor behind all that it got. */
  get cursor(): string | undefined {
    return this.#isNew ? undefined : this.parts.at(-1)?.cursor
  }

  get isConnected(): boolean {
    return this.#connected !== undefined
  }

  /** Lives until it is stopped. */
  async run(): Promise<void> {
    const { clock } = this.#around
    while (!this.#isOver) {
      if (this.lease === undefined) await this.#ask(`lease-${this.name}-${this.#asked}`)
      else if (this.ending === 'deleting') await this.#giveUp(this.lease.id)
      else if (this.ending === 'live' && this.#isCut()) this.#connect(this.lease)
      await clock.pass(RETRY_MS * (0.5 + this.#around.random()))
    }
  }

  stop(): void {
    this.#isOver = true
  }

  /** Gives its stream up. */
  delete(): void {
    if (this.lease !== undefined && this.ending === 'live') this.ending = 'deleting'
  }

  /** Its connection breaks. */
  disconnect(): void {
    const connected = this.#connected
    this.#connected = undefined
    if (connected === undefined) return
    connected.endpoint.closed = true
    this.#around.clock.after(connected.host, LATENCY_MS, () => connected.connection.close())
  }

  #isCut(): boolean {
    const { host } = this.#connected ?? {}
    if (host?.state === 'dead') this.#connected = undefined
    return this.#connected === undefined
  }

  /** Asks for the stream under one id until it has it: asking again gives the same lease. */
  async #ask(leaseId: string): Promise<void> {
    const app = this.name
    const lease = await this.#call(({ door }) =>
      door.desk.request({ leaseId, app, ...this.request }, AbortSignal.timeout(10_000)),
    )
    if (!('lease' in lease)) return
    this.lease = lease.lease
    this.#around.trace.add(app, `has ${lease.lease?.topic}`)
  }

  async #giveUp(leaseId: string): Promise<void> {
    const outcome = await this.#call(async ({ door }) => {
      await door.desk.end(leaseId, this.name, AbortSignal.timeout(10_000))
      return undefined
    })
    if ('lease' in outcome) this.ending = 'deleted'
    else if (outcome.code === 'STREAM_UNKNOWN')
      this.complaints.push('deleted: its DELETE was answered STREAM_UNKNOWN, though the stream was its own')
    if ('lease' in outcome || outcome.code === 'STREAM_UNKNOWN') {
      this.ending = 'deleted'
      this.disconnect()
    }
  }

  /** Calls any gateway; a failure is an answer as well. */
  #call(
    work: (gateway: Gateway) => Promise<Lease | undefined>,
  ): Promise<{ readonly lease: Lease | undefined } | { readonly code: string }> {
    const { clock, random } = this.#around
    const gateways = this.#gateways()
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

  #connect(lease: Lease): void {
    const { clock, random, trace } = this.#around
    const gateways = this.#gateways()
    const gateway = gateways[Math.floor(random() * gateways.length)]
    if (gateway === undefined) return
    const { host, door } = gateway
    const endpoint = this.#endpoint(host)
    const cursor = this.cursor ?? beginningOf(lease)
    trace.add(
      this.name,
      `connects to ${host.name} ${cursor === undefined ? 'without a cursor' : `from ${this.#decode(cursor)?.offset}`}`,
    )
    const connection = runAs(host, () => door.delivery.connect(this.name, endpoint))
    this.#connected = { host, connection, endpoint }
    clock.after(host, LATENCY_MS, () => connection.subscribe(lease.id, cursor))
  }

  #endpoint(host: Host): AppEndpoint & { closed: boolean } {
    const { clock, random } = this.#around
    let arrival = 0
    let pendingBytes = 0
    const isSlow = this.#isSlow
    const waiting = new Set<() => void>()
    const deliver = (bytes: number, receive: () => void): void => {
      pendingBytes += bytes
      arrival = Math.max(arrival, clock.now) + (isSlow ? SLOW_MS : 0) + random() * LATENCY_MS
      clock.after(undefined, arrival - clock.now, () => {
        pendingBytes -= bytes
        for (const wake of waiting) clock.after(host, 0, wake)
        if (this.#connected?.endpoint === endpoint) receive()
      })
    }
    const endpoint = {
      id: `${this.name}-${clock.now}`,
      closed: false,
      get pendingBytes() {
        return pendingBytes
      },
      send: (message: AppMessage) => deliver(100, () => this.#take(message)),
      sendEncoded: (bytes: Uint8Array) => {
        const text = Buffer.from(bytes).toString()
        deliver(bytes.length, () => this.#takeData(text))
      },
      drained: (below: number, signal: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          const look = (): void => {
            if (pendingBytes >= below && !endpoint.closed) return
            waiting.delete(look)
            signal.removeEventListener('abort', onAbort)
            resolve()
          }
          const onAbort = (): void => {
            waiting.delete(look)
            reject(signal.reason)
          }
          waiting.add(look)
          signal.addEventListener('abort', onAbort, { once: true })
          look()
        }),
    }
    return endpoint
  }

  #take(message: AppMessage): void {
    this.#around.trace.add(
      this.name,
      `gets ${message.op} ${'reason' in message ? message.reason : ''}${'code' in message ? message.code : ''}`,
    )
    switch (message.op) {
      case 'subscribed':
        if (this.#isNew) this.#begin(message.cursor, undefined)
        break
      case 'reset':
        this.#begin(message.cursor, message.reason)
        if (this.#isTopicGone()) this.#askAnew()
        break
      case 'end':
        if (this.ending === 'live' && this.#isTopicGone()) {
          this.#askAnew()
          break
        }
        this.#connected = undefined
        if (this.ending === 'live')
          this.complaints.push(`ended: its stream ended without its doing: ${message.reason}`)
        this.ending = 'told'
        break
      case 'error':
        this.disconnect()
        if (message.code !== 'STREAM_UNKNOWN' || this.ending !== 'live') break
        // The stream may have ended while the application had no connection.
        if (this.#isTopicGone()) this.#askAnew()
        else this.complaints.push(`unknown: its stream is not known any more: ${message.message}`)
    }
  }

  #takeData(text: string): void {
    const { cursor, events } = JSON.parse(text) as { cursor: string; events: unknown[] }
    const part = this.parts.at(-1)
    if (part === undefined) {
      this.complaints.push('data: it got events before it was told that it is subscribed')
      return
    }
    part.events.push(...events.map((event) => JSON.stringify(event)))
    part.cursor = cursor
  }

  /** Whether somebody else has deleted the topic of its stream. */
  #isTopicGone(): boolean {
    return this.#takenAway.has(this.lease?.topicId ?? '')
  }

  /** It was told that its stream cannot go on as it was: it asks for another one. */
  #askAnew(): void {
    this.disconnect()
    this.lease = undefined
    this.#asked++
    this.#isNew = true
  }

  /** Where a cursor stands in the last topic of the stream. */
  #decode(cursor: string) {
    return decodeCursor(cursor, fixedTopic('market', this.request.spec.channel)).topics.at(-1)
  }

  #begin(cursor: string, reset: string | undefined): void {
    const { topicId = '', offset = 0 } = this.#decode(cursor) ?? {}
    this.#isNew = false
    this.parts.push({ topicId, offset, reset, events: [], cursor })
  }
}
