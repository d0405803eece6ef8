import type { WebSocket } from 'ws'
import { orAfter } from '../async/deadline.ts'
import type { StreamWarning } from '../domain/offer.ts'
import { TapelineError } from '../errors.ts'
import type { Connection, Delivery } from '../ports/delivery.ts'
import type { Lease, StreamDesk } from '../ports/streams.ts'
import type { AppEndpoint, AppMessage } from '../ports/transport.ts'
import { beginningOf, firstCursor } from './beginning.ts'
import type { BeyondKept } from './kept.ts'
import type { GatewayOptions } from './options.ts'
import { detailOf, errorOf, shownFields } from './problem.ts'
import { parseSocketMessage, type SocketMessage } from './socket-message.ts'
import { warningsOf } from './stream-warnings.ts'
import { watchedEndpoint } from './watched-endpoint.ts'

/** Streams that one socket may read or wait for. */
const MOST_STREAMS = 1000

/** Requests for new streams under way for one socket; further ones wait their turn. */
const MOST_REQUESTS = 16
const REQUEST_MS = 10_000

/** After so many messages in a row that are not acceptable the socket is closed. */
const MOST_BAD_MESSAGES = 100

/** A client that sends while so many bytes of answers wait for it does not read: it is cut off. */
const MOST_UNREAD_BYTES = 16 * 1024 * 1024

/** Pongs that may be missing before the peer counts as gone. */
const MOST_MISSED_PONGS = 2

/** Close codes. Source: RFC 6455, section 7.4.1. */
const POLICY_VIOLATION = 1008

interface SessionOptions {
  readonly socket: WebSocket
  readonly endpoint: AppEndpoint
  /** The application at the other end. */
  readonly app: string
  /** Bounds what delivery sends. */
  readonly throttle: (endpoint: AppEndpoint) => AppEndpoint
  /** Whether it may make a stream now. Raises FORBIDDEN, QUOTA_EXCEEDED. What it gives is called once the stream is there, or will not be. */
  readonly admitRequest: (leaseId: string) => () => void
  readonly desk: StreamDesk
  readonly delivery: Delivery
  readonly newLeaseId: () => string
  readonly fixedTopics: GatewayOptions['fixedTopics']
  readonly beyondKept: BeyondKept
}

/** A stream that is asked for. */
type Asked = SocketMessage & { readonly kind: 'request'; readonly leaseId: string; readonly done: () => void }

/** One application's WebSocket: reads its messages and lets Delivery write to it. It ends with the socket. */
export class SocketSession {
  readonly #socket: WebSocket
  readonly #endpoint: AppEndpoint
  readonly #connection: Connection
  readonly #app: string
  readonly #admitRequest: SessionOptions['admitRequest']
  readonly #desk: StreamDesk
  readonly #newLeaseId: () => string
  readonly #fixedTopics: GatewayOptions['fixedTopics']
  readonly #beyondKept: BeyondKept
  readonly #gone = new AbortController()
  /** Streams that this socket asked to read, and whether it reads them by now. */
  readonly #streams = new Map<string, 'asked' | 'read'>()
  /** Streams that were made for this socket, and that their client has not heard of yet. */
  readonly #unnamed = new Map<string, { readonly lease: Lease; readonly beyond: readonly StreamWarning[] }>()
  readonly #waiting: Asked[] = []
  #underWay = 0
  #badInARow = 0
  #missedPongs = 0

  constructor({
    socket,
    endpoint,
    throttle,
    app,
    admitRequest,
    desk,
    delivery,
    newLeaseId,
    fixedTopics,
    beyondKept,
  }: SessionOptions) {
    this.#fixedTopics = fixedTopics
    this.#beyondKept = beyondKept
    this.#socket = socket
    this.#endpoint = endpoint
    this.#app = app
    this.#admitRequest = admitRequest
    this.#desk = desk
    this.#newLeaseId = newLeaseId
    this.#connection = delivery.connect(
      app,
      watchedEndpoint(throttle(endpoint), (message) => this.#follow(message)),
    )
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary))
    socket.on('pong', () => {
      this.#missedPongs = 0
    })
    socket.once('close', () => {
      this.#gone.abort()
      for (const { done } of this.#waiting.splice(0)) done()
      this.#connection.close()
    })
  }

  /** Asks whether the peer is still there, and cuts it off when it has not answered for too long. */
  ping(): void {
    if (this.#missedPongs >= MOST_MISSED_PONGS) {
      this.#socket.terminate()
      return
    }
    this.#missedPongs++
    if (!this.#endpoint.closed) this.#socket.ping()
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#endpoint.closed) return
    if (this.#endpoint.pendingBytes > MOST_UNREAD_BYTES) {
      this.#socket.terminate()
      return
    }
    let message: SocketMessage
    try {
      message = parseSocketMessage(data, isBinary)
    } catch (error) {
      this.#refuse(error)
      if (++this.#badInARow >= MOST_BAD_MESSAGES)
        this.#socket.close(POLICY_VIOLATION, 'too many bad messages')
      return
    }
    this.#badInARow = 0
    try {
      this.#serve(message)
    } catch (error) {
      this.#refuse(error)
    }
  }

  #serve(message: SocketMessage): void {
    switch (message.kind) {
      case 'read':
        if (!this.#streams.has(message.stream)) {
          this.#refuseTooMany()
          this.#streams.set(message.stream, 'asked')
        }
        this.#connection.subscribe(message.stream, message.cursor, message.slow)
        break
      case 'request': {
        this.#refuseTooMany()
        const leaseId = this.#newLeaseId()
        this.#waiting.push({ ...message, leaseId, done: this.#admitRequest(leaseId) })
        this.#requestNext()
        break
      }
      case 'leave':
        if (!this.#streams.delete(message.stream)) {
          throw new TapelineError('STREAM_UNKNOWN', `this socket does not read ${message.stream}`, {
            remedy: 'Unsubscribe from streams that subscribed named on this socket.',
          })
        }
        this.#connection.unsubscribe(message.stream)
        break
      case 'ping':
        this.#endpoint.send({ op: 'pong' })
        break
      default:
        message satisfies never
    }
  }

  #refuseTooMany(): void {
    if (this.#streams.size + this.#underWay + this.#waiting.length < MOST_STREAMS) return
    throw new TapelineError('SOCKET_LIMIT', `one socket reads at most ${MOST_STREAMS} streams`)
  }

  #requestNext(): void {
    if (this.#underWay >= MOST_REQUESTS) return
    const request = this.#waiting.shift()
    if (request === undefined) return
    this.#underWay++
    this.#request(request).finally(() => {
      request.done()
      this.#underWay--
      this.#requestNext()
    })
  }

  /** Makes a stream and reads it. The lease outlives the socket, so that its application can resume. */
  async #request({ request, slow, leaseId }: Asked): Promise<void> {
    try {
      const signal = orAfter(this.#gone.signal, REQUEST_MS)
      const ask = { leaseId, app: this.#app, ...request }
      const lease = await this.#desk.request(ask, signal)
      const beyond = await this.#beyondKept(request, signal)
      if (this.#gone.signal.aborted) return
      this.#streams.set(lease.id, 'asked')
      this.#unnamed.set(lease.id, { lease, beyond })
      this.#connection.subscribe(lease.id, beginningOf(lease, this.#fixedTopics), slow)
    } catch (error) {
      this.#refuse(error)
    }
  }

  #refuse(thrown: unknown): void {
    const error = errorOf(thrown)
    const errors = shownFields(error.fields)
    this.#endpoint.send({
      op: 'error',
      code: error.code,
      message: detailOf(error),
      remedy: error.remedy,
      ...(errors.length > 0 && { errors }),
    })
  }

  /** Keeps account of what Delivery says; gives what is sent. An error leaves a stream that is read already as it is. */
  #follow(message: AppMessage): AppMessage {
    switch (message.op) {
      case 'subscribed':
        if (this.#streams.has(message.stream)) this.#streams.set(message.stream, 'read')
        return {
          ...message,
          ...warningsOf(this.#desk, message.stream, this.#takeUnnamed(message.stream)?.beyond),
        }
      case 'end':
        this.#streams.delete(message.stream)
        this.#name(message.stream)
        break
      case 'error':
        this.#unnamed.delete(message.stream ?? '')
        if (message.stream !== undefined && this.#streams.get(message.stream) === 'asked') {
          this.#streams.delete(message.stream)
        }
        break
      case 'reset':
      case 'pong':
        break
    }
    return message
  }

  /** A stream that ends before it was read: its client learns first which one of those that it asked for it is. */
  #name(stream: string): void {
    const unnamed = this.#takeUnnamed(stream)
    if (unnamed === undefined) return
    const { lease } = unnamed
    this.#endpoint.send({ op: 'subscribed', stream, topic: lease.topic, cursor: firstCursor(lease) })
  }

  #takeUnnamed(stream: string) {
    const unnamed = this.#unnamed.get(stream)
    this.#unnamed.delete(stream)
    return unnamed
  }
}
