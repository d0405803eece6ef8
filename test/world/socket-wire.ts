import { EventEmitter } from 'node:events'
import { WebSocket } from 'ws'
import { createWebSocketEndpoint } from '../../src/adapters/transport/websocket.ts'
import { startInterval } from '../../src/async/timers.ts'
import { SocketSession } from '../../src/gateway/socket-session.ts'
import { newId } from '../../src/topology/foundation.ts'
import { type Host, runAs } from './clock.ts'
import type { Surroundings } from './link.ts'
import { NAMES } from './names.ts'
import { type Gateway, LATENCY_MS, type Reader, Way, type Wire } from './wire.ts'

/** As the gateway pings. */
const PING_MS = 20_000
/** Close code: the other end went without a word. Source: RFC 6455, section 7.4.1. */
const ABNORMAL = 1006

/** The gateway's end of a WebSocket, as far as sessions use it; it ends where the application's begins. */
class WorldSocket extends EventEmitter {
  readyState: number = WebSocket.OPEN
  readonly way: Way
  readonly #around: Surroundings
  readonly #host: Host
  readonly #onEnd: () => void

  constructor(around: Surroundings, host: Host, reader: Reader, onEnd: () => void) {
    super()
    this.#around = around
    this.#host = host
    this.#onEnd = onEnd
    this.way = new Way(around, reader)
  }

  /** Whether the application is still there. */
  get isHeard(): boolean {
    return this.way.isOpen
  }

  get bufferedAmount(): number {
    return this.way.pendingBytes
  }

  send(bytes: Uint8Array, _options: object, onWritten: () => void): void {
    const written = (): void => void this.#around.clock.after(this.#host, 0, onWritten)
    this.way.send(Buffer.from(bytes).toString(), bytes.length, written)
  }

  /** Where the application is still there it answers, without a look at what it has not read. */
  ping(): void {
    if (this.way.isOpen) this.#around.clock.after(this.#host, 2 * LATENCY_MS, () => this.emit('pong'))
  }

  close(): void {
    this.terminate()
  }

  terminate(): void {
    if (this.readyState === WebSocket.CLOSED) return
    this.readyState = WebSocket.CLOSED
    this.way.close()
    const { clock } = this.#around
    clock.after(this.#host, 0, () => this.emit('close', ABNORMAL))
    clock.after(undefined, LATENCY_MS, this.#onEnd)
  }
}

/** A connection by the protocol of the gateway, which takes it as a WebSocket; `onEnd`: the gateway has ended it. */
export function openSocketWire(
  around: Surroundings,
  { host, door }: Gateway,
  reader: Reader,
  onEnd: () => void,
): Wire {
  const { clock, random } = around
  const socket = new WorldSocket(around, host, reader, onEnd)
  runAs(host, () => {
    const server = socket as unknown as WebSocket
    const endpoint = createWebSocketEndpoint(server, newId())
    const { desk, delivery } = door
    const session = new SocketSession({
      fixedTopics: NAMES.fixed,
      ...{ socket: server, endpoint, app: reader.name, desk, delivery },
      admitRequest: () => () => undefined,
      beyondKept: async () => [],
      throttle: (each) => each,
      newLeaseId: newId,
    })
    const pings = startInterval(() => session.ping(), PING_MS)
    door.sockets.add(socket)
    socket.once('close', () => {
      pings.stop()
      door.sockets.delete(socket)
    })
  })
  const say = (message: object): void => {
    const data = Buffer.from(JSON.stringify(message))
    clock.after(host, LATENCY_MS, () => {
      if (socket.readyState === WebSocket.OPEN) socket.emit('message', data, false)
    })
  }
  return {
    host,
    subscribe: (stream, cursor) => say({ op: 'subscribe', stream, cursor }),
    leave: (stream) => say({ op: 'unsubscribe', stream }),
    request: (spec, ttl) => say({ op: 'subscribe', spec, ttl }),
    hangUp() {
      socket.way.close()
      // Else the gateway hears nothing of it, and only the missing pongs tell.
      if (random() < 0.7) clock.after(host, LATENCY_MS, () => socket.terminate())
    },
  }
}
