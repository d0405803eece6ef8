import { decodeCursor } from '../../src/domain/cursor.ts'
import { fixedTopic } from '../../src/domain/events.ts'
import type { ReaderMemory } from '../../src/domain/reader-rules.ts'
import { parseStreamRequest, type StreamRequest } from '../../src/domain/stream-spec.ts'
import { beginningOf } from '../../src/gateway/beginning.ts'
import type { Lease } from '../../src/ports/streams.ts'
import type { AppMessage } from '../../src/ports/transport.ts'
import type { Surroundings } from './link.ts'
import { NAMES } from './names.ts'
import { openSocketWire } from './socket-wire.ts'
import { ANSWER_MS, callGateway, type Gateway, openDirectWire, type Wire } from './wire.ts'

const RETRY_MS = 700

/** What an application got of its stream in one piece: from a cursor on, until it was told `reset`. */
export interface Part {
  /** Whether it began with a cursor, or where the gateway said; and why, where it began with a `reset`. */
  readonly lease: string
  readonly topicId: string
  readonly offset: number
  /** Of one from the beginning of its topic on: what lies in front of its own beginning. */
  readonly memory?: ReaderMemory
  readonly reset: string | undefined
  /** Whether its stream had moved: it goes on in another topic. */
  readonly isMoved: boolean
  /** The events, as text. */
  readonly events: string[]
  cursor: string
}

/** The stream that it has. */
export interface Held extends Pick<Lease, 'id' | 'topicId'> {
  /** The cursor of its beginning, where it is known. */
  readonly beginning: string | undefined
}

interface Data {
  readonly op: 'data'
  readonly stream: string
  readonly cursor: string
  readonly events: readonly unknown[]
}

/** How it speaks to gateways: by calls, or on a socket; there it may ask for its stream by a spec. */
export type Protocol = 'none' | 'id' | 'spec'

type Ending = 'live' | 'deleting' | 'deleted' | 'told'

/** One application with one stream: asks for it, reads it over any gateway, resumes by cursor, and may give it up. */
export class Application {
  readonly name: string
  readonly request: StreamRequest
  readonly parts: Part[] = []
  readonly complaints: string[] = []
  /** That a stream of its was over without its doing; right where somebody else has deleted the topic that its lease had last. */
  readonly losses: { readonly lease: string; readonly complaint: string }[] = []
  lease: Held | undefined
  ending: Ending = 'live'
  readonly #around: Surroundings
  readonly #gateways: () => readonly Gateway[]
  /** The identities of topics that somebody else has deleted. */
  readonly #takenAway: ReadonlySet<string>
  readonly #isSlow: boolean
  readonly #protocol: Protocol
  #wire: Wire | undefined
  #connectedAt = 0
  /** Whether it was told on its connection that it is subscribed. */
  #isReading = false
  /** Whether it has left its stream, and keeps the connection. */
  #hasLeft = false
  /** Whether it has ever left its stream on this connection. */
  #isBack = false
  /** How often it has asked for a new stream in the place of one whose topic was gone. */
  #asked = 0
  /** Whether nothing is known of its present stream yet. */
  #isNew = true
  #isOver = false
  /** What its stream is to be. */
  #change: Omit<StreamRequest, 'from'> | undefined

  constructor(
    around: Surroundings,
    gateways: () => readonly Gateway[],
    takenAway: ReadonlySet<string>,
    name: string,
    protocol: Protocol,
    request: {
      readonly channel: 'trade' | 'quote' | 'status'
      readonly symbols: readonly string[]
      readonly ttl: number
      readonly from?: string
      readonly where?: string
      readonly fields?: readonly string[]
    },
  ) {
    this.#around = around
    this.#gateways = gateways
    this.#takenAway = takenAway
    this.name = name
    this.#protocol = protocol
    this.#isSlow = around.random() < 0.2
    this.request = parseStreamRequest(request, around.clock.now)
  }

  /** The cursor after all that it got. */
  get cursor(): string | undefined {
    return this.#isNew ? undefined : this.parts.at(-1)?.cursor
  }

  /** Lives until it is stopped. */
  async run(): Promise<void> {
    const { clock } = this.#around
    while (!this.#isOver) {
      if (this.lease !== undefined) await this.#goOn(this.lease)
      else if (this.#protocol === 'spec') this.#askBySpec()
      else await this.#ask(`lease-${this.name}-${this.#asked}`)
      await clock.pass(RETRY_MS * (0.5 + this.#around.random()))
    }
  }

  /** It wants its stream to be another one from now on. */
  move(change: object): void {
    if (this.lease === undefined || this.ending !== 'live') return
    const { spec, ttlMs } = parseStreamRequest({ ttl: 0, ...change }, this.#around.clock.now)
    this.#change = { spec, ttlMs }
  }

  /** Asks until it is answered. */
  async #askToMove(lease: Held, change: Omit<StreamRequest, 'from'>): Promise<void> {
    const { name: app } = this
    const found = await callGateway(this.#around, this.#gateways(), ({ door }) =>
      door.desk.move({ leaseId: lease.id, app, ...change }, AbortSignal.timeout(10_000)),
    )
    const code = 'code' in found ? found.code : ''
    this.#around.trace.add(app, `moves ${'lease' in found ? found.lease?.topic : code}`)
    if ('code' in found && code !== 'MOVE_LIMIT' && code !== 'STREAM_UNKNOWN') return
    if (this.#change === change) this.#change = undefined
    if ('lease' in found && found.lease && this.lease === lease)
      this.lease = { ...lease, topicId: found.lease.topicId }
  }

  async #goOn(lease: Held): Promise<void> {
    if (this.#change !== undefined && this.ending === 'live') await this.#askToMove(lease, this.#change)
    // Meanwhile it may have asked for another one.
    if (this.lease?.id !== lease.id) return
    if (this.ending === 'deleting') await this.#giveUp(lease.id)
    else if (this.ending === 'live' && (this.#isCut() || this.#hasLeft)) this.#read(lease)
  }

  stop(): void {
    this.#isOver = true
  }

  /** Gives its stream up. */
  delete(): void {
    if (this.lease !== undefined && this.ending === 'live') this.ending = 'deleting'
  }

  /** It reads no longer, for a moment: its connection breaks, or it leaves the stream. */
  pause(): void {
    const { lease, ending } = this
    const mayLeave = this.#isReading && this.#wire?.leave !== undefined && ending === 'live'
    if (!mayLeave || lease === undefined || this.#around.random() < 0.5) {
      this.disconnect()
      return
    }
    this.#wire?.leave?.(lease.id)
    this.#isReading = false
    this.#hasLeft = true
    this.#isBack = true
  }

  /** Its connection breaks. */
  disconnect(): void {
    this.#wire?.hangUp()
    this.#wire = undefined
    this.#isReading = false
    this.#hasLeft = false
    this.#isBack = false
  }

  #isCut(): boolean {
    if (this.#wire?.host.state === 'dead') this.disconnect()
    return this.#wire === undefined
  }

  /** Asks for the stream under one id until it has it: asking again gives the same lease. */
  async #ask(leaseId: string): Promise<void> {
    const app = this.name
    const found = await callGateway(this.#around, this.#gateways(), ({ door }) =>
      door.desk.request({ leaseId, app, ...this.request }, AbortSignal.timeout(10_000)),
    )
    if (!('lease' in found)) return
    const { lease } = found
    if (lease !== undefined)
      this.lease = { id: lease.id, topicId: lease.topicId, beginning: beginningOf(lease, NAMES.fixed) }
    this.#around.trace.add(app, `has ${lease?.topic}`)
  }

  async #giveUp(leaseId: string): Promise<void> {
    const outcome = await callGateway(this.#around, this.#gateways(), async ({ door }) => {
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

  /** Connects to any gateway; undefined where there is none. */
  #connect(): Wire | undefined {
    const gateways = this.#gateways()
    const gateway = gateways[Math.floor(this.#around.random() * gateways.length)]
    if (gateway === undefined) return undefined
    let wire: Wire | undefined
    const { name } = this
    const reader = {
      ...{ name, isSlow: this.#isSlow },
      receive: (text: string): void => {
        if (this.#wire === wire) this.#receive(text)
      },
    }
    if (this.#protocol === 'none') wire = openDirectWire(this.#around, gateway, reader)
    else
      wire = openSocketWire(this.#around, gateway, reader, () => {
        if (this.#wire === wire) this.disconnect()
      })
    this.#wire = wire
    this.#connectedAt = this.#around.clock.now
    return wire
  }

  #read({ id, beginning }: Held): void {
    const wire = this.#wire ?? this.#connect()
    if (wire === undefined) return
    this.#hasLeft = false
    const cursor = this.cursor ?? beginning
    const from = cursor === undefined ? 'without a cursor' : `from ${this.#decode(cursor)?.offset}`
    this.#around.trace.add(this.name, `subscribes at ${wire.host.name} ${from}`)
    wire.subscribe(id, cursor)
  }

  /** Asks for a stream and reads it in one message. Who gets no answer asks anew, for another lease. */
  #askBySpec(): void {
    if (this.#wire !== undefined && this.#around.clock.now - this.#connectedAt > ANSWER_MS) this.disconnect()
    if (!this.#isCut()) return
    const wire = this.#connect()
    if (wire === undefined) return
    this.#around.trace.add(this.name, `asks ${wire.host.name} by its spec`)
    const { spec, from = 'live' } = this.request
    const { exchanges: _all, ...wanted } = spec
    wire.request?.({ ...wanted, from }, 0)
  }

  #receive(text: string): void {
    const message = JSON.parse(text) as AppMessage | Data
    if ('stream' in message && this.lease !== undefined && message.stream !== this.lease.id)
      this.complaints.push(`message: it got ${message.op} of ${message.stream}, and reads ${this.lease.id}`)
    // What was on its way when it left the stream comes again.
    if (!this.#isReading && (message.op === 'data' || message.op === 'reset')) {
      if (!this.#isBack) this.complaints.push(`message: it got ${message.op} before it was subscribed`)
      return
    }
    if (message.op === 'data') this.#takeData(message)
    else this.#take(message)
  }

  #take(message: AppMessage): void {
    this.#around.trace.add(
      this.name,
      `gets ${message.op} ${'reason' in message ? message.reason : ''}${'code' in message ? message.code : ''}`,
    )
    switch (message.op) {
      case 'subscribed':
        this.#isReading = true
        if (this.lease === undefined) this.#have(message)
        if (this.#isNew) this.#begin(message.cursor, undefined)
        else if (this.#decode(message.cursor)?.topicId !== this.#decode(this.cursor ?? '')?.topicId)
          this.#begin(message.cursor, undefined, true)
        break
      case 'reset':
        // It was told so at once: what it stood in is over.
        if (this.parts.at(-1)?.isMoved && this.cursor === message.cursor) this.parts.pop()
        this.#begin(message.cursor, message.reason)
        if (this.#isTopicGone()) this.#askAnew()
        break
      case 'end':
        if (this.ending === 'live' && this.#isTopicGone()) {
          this.#askAnew()
          break
        }
        this.disconnect()
        if (this.ending === 'live') this.#lose(`ended: its stream ended without its doing: ${message.reason}`)
        this.ending = 'told'
        break
      case 'error':
        this.disconnect()
        if (message.code !== 'STREAM_UNKNOWN' || this.ending !== 'live') break
        // The stream may have ended while the application had no connection.
        if (this.#isTopicGone()) this.#askAnew()
        else this.#lose(`unknown: its stream is not known any more: ${message.message}`)
    }
  }

  #takeData({ cursor, events }: Data): void {
    const part = this.parts.at(-1)
    if (part === undefined) {
      this.complaints.push('data: it got events before it was told that it is subscribed')
      return
    }
    part.events.push(...events.map((event) => JSON.stringify(event)))
    part.cursor = cursor
  }

  /** A stream that it asked for by its spec has been made. */
  #have({ stream, topic, cursor }: AppMessage & { readonly op: 'subscribed' }): void {
    const { topicId = '' } = this.#decode(cursor) ?? {}
    this.lease = { id: stream, topicId, beginning: undefined }
    this.#around.trace.add(this.name, `has ${topic}`)
  }

  /** Whether that is right the registry knows: a move that was never answered may have been done late, after the next one. */
  #lose(complaint: string): void {
    if (this.lease !== undefined) this.losses.push({ lease: this.lease.id, complaint })
  }

  /** Whether somebody else has deleted the topic of its stream, as far as it knows. */
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

  #begin(cursor: string, reset: string | undefined, isMoved = false): void {
    const { topicId = '', offset = 0, memory } = this.#decode(cursor) ?? {}
    this.#isNew = false
    const beginning = (offset === 0 || isMoved) && memory !== undefined && { memory }
    this.parts.push({
      lease: this.lease?.id ?? '',
      topicId,
      offset,
      reset,
      isMoved,
      events: [],
      cursor,
      ...beginning,
    })
  }
}
