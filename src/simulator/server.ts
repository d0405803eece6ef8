import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { startInterval, type Timer } from '../async/timers.ts'
import { TapelineError, toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import type { WalkClock } from './clock.ts'
import { Connection, type Conversation, type Line } from './connection.ts'
import { type Controlled, control, send } from './control.ts'
import { CryptoCompareConversation } from './conversation.ts'
import { ExchangeConversation } from './exchanges/conversation.ts'
import type { ServedExchange } from './exchanges/served.ts'
import type { Feeds, Subscription } from './feeds.ts'
import { garbageFrame } from './garbage.ts'
import type { Market } from './market.ts'
import * as messages from './messages.ts'
import type { Misbehaviour, Outage } from './misbehaviour.ts'
import { seededRandom } from './random.ts'
import { CALL_LIMITS, CallCounter, SOCKET_LIMITS } from './rate-limit.ts'
import { answer, rateLimited, unauthorized } from './rest.ts'

const LARGEST_MESSAGE = 1024 * 1024
/** Handshakes and calls that hang in `stall`; one more is cut. */
const MOST_STALLED = 1_000

export interface ServerOptions {
  readonly feeds: Feeds
  readonly clock: WalkClock
  readonly heartbeatSeconds: number
  readonly subscribe: (subscription: string) => Subscription | undefined
  /** Begins the walk of a market, where it is not yet on. */
  readonly begin: (market: Market) => void
  /** The exchanges whose own protocols are spoken, by their names: each at a path of its own. */
  readonly exchanges: ReadonlyMap<string, ServedExchange>
  readonly controlled: Controlled
  readonly log: Log | undefined
}

/** A client is told that it is not served, or just let go. */
type Refusal = Extract<Outage, 'close' | '401' | '429'>

const isRefusal = (outage: Outage | undefined): outage is Refusal =>
  outage === 'close' || outage === '401' || outage === '429'

/**
 * Both hosts of the service on one port: WebSocket v2 at `/v2`, REST at `/data` and `/stats/rate/limit`, and the control. It is long, and one
 * file: an outage befalls all of them.
 */
export class SimulatorServer {
  readonly #options: ServerOptions
  readonly #http: Server
  readonly #websockets = new WebSocketServer({
    noServer: true,
    maxPayload: LARGEST_MESSAGE,
    autoPong: false,
    clientTracking: false,
  })
  /** Each with the exchange that it is of; CryptoCompare is none. */
  readonly #connections = new Map<Connection, ServedExchange | undefined>()
  readonly #calls = new CallCounter(CALL_LIMITS)
  readonly #opened = new CallCounter(SOCKET_LIMITS)
  readonly #stalled = { websocket: new Set<() => void>(), rest: new Set<() => void>() }
  readonly #garbage = () => garbageFrame(this.#random)
  readonly #random = seededRandom('babble')
  readonly #startedAt: number
  #misbehaviour: Misbehaviour
  #cutting: Timer | undefined
  #sockets = 0
  #refusals = 0
  #slow = 0

  constructor(options: ServerOptions, misbehaviour: Misbehaviour) {
    this.#options = options
    this.#misbehaviour = misbehaviour
    this.#startedAt = this.#now()
    this.#http = createServer((request, response) => this.#request(request, response))
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#http.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Begins to listen and gives the port. Raises PORT_IN_USE. */
  async listen(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject)
      this.#http.listen(port, host, () => {
        this.#http.off('error', reject)
        resolve()
      })
    }).catch((error: unknown) => {
      const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      if (taken)
        throw new TapelineError('PORT_IN_USE', `the simulator cannot listen on ${host}:${port}`, {
          cause: error,
        })
      throw toTapelineError(error)
    })
    this.misbehave(this.#misbehaviour)
    return (this.#http.address() as AddressInfo).port
  }

  get connections(): number {
    return this.#connections.size
  }

  get subscriptions(): number {
    return [...this.#connections.keys()].reduce((sum, connection) => sum + connection.followed, 0)
  }

  /** Connections cut because they read too slowly. */
  get slow(): number {
    return this.#slow
  }

  /** Writes out what connections have got. */
  flush(): void {
    for (const connection of this.#connections.keys()) connection.flush()
  }

  /** Changes the misbehaviour, for open connections too. */
  misbehave(misbehaviour: Misbehaviour): void {
    this.#misbehaviour = misbehaviour
    this.#cutting?.stop()
    const { cutSeconds } = misbehaviour
    if (cutSeconds !== undefined) this.#cutting = startInterval(() => this.cut(), cutSeconds * 1000)
    const outage = misbehaviour.outage('websocket')
    for (const connection of this.#connections.keys()) {
      connection.hold(outage === 'stall')
      connection.garble(outage === 'babble' ? this.#garbage : undefined)
      if (outage === 'drop') connection.cut()
      else if (isRefusal(outage)) connection.end(...this.#lastWords(outage))
    }
    for (const side of ['websocket', 'rest'] as const) {
      if (misbehaviour.outage(side) === 'stall') continue
      const waiting = [...this.#stalled[side]]
      this.#stalled[side].clear()
      for (const go of waiting) go()
    }
  }

  /** Cuts the connections of an exchange, or all. */
  cut(of?: ServedExchange): void {
    for (const [connection, exchange] of this.#connections)
      if (of === undefined || exchange === of) connection.cut()
  }

  /** Cuts all connections and stops listening. */
  async close(): Promise<void> {
    this.#cutting?.stop()
    this.cut()
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()))
    this.#http.closeAllConnections()
    this.#websockets.close()
    await closed
  }

  #now(): number {
    return Math.floor(this.#options.clock.wall / 1000)
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Until ws takes the socket over, a reset by the peer has no other listener and would end the process.
    const ignore = () => socket.destroy()
    socket.on('error', ignore)
    const { path, query } = target(request)
    const outage = this.#misbehaviour.outage('websocket')
    const [exchange] = this.#exchangeOf(path)
    if (outage === 'drop' || (path !== '/v2' && exchange === undefined)) {
      socket.destroy()
    } else if (outage === 'stall') {
      this.#stall('websocket', socket, () => this.#upgrade(request, socket, head))
    } else if (exchange !== undefined && (outage === '401' || outage === '429')) {
      socket.end(`HTTP/1.1 ${outage} Refused\r\nconnection: close\r\n\r\n`)
    } else {
      socket.off('error', ignore)
      this.#websockets.handleUpgrade(request, socket, head, (websocket) => {
        if (exchange === undefined) this.#accept(websocket, socket, keyOf(request, query))
        else this.#acceptFor(exchange, websocket, socket)
      })
    }
  }

  #accept(websocket: WebSocket, socket: Duplex, key: string): void {
    const { subscribe } = this.#options
    const converse = (line: Line) => new CryptoCompareConversation(subscribe, line)
    const connection = this.#connect(websocket, socket, undefined, converse)
    const outage = this.#misbehaviour.outage('websocket')
    if (isRefusal(outage)) connection.end(...this.#lastWords(outage))
    else if (key === '') connection.end(...this.#lastWords('401'))
    else this.#welcome(connection)
  }

  #acceptFor(exchange: ServedExchange, websocket: WebSocket, socket: Duplex): void {
    const { begin } = this.#options
    const converse = (line: Line) => new ExchangeConversation(exchange, begin, line)
    const connection = this.#connect(websocket, socket, exchange, converse)
    if (this.#misbehaviour.outage('websocket') === 'close') connection.end(...this.#lastWords('close'))
    else connection.greet()
  }

  #connect(
    websocket: WebSocket,
    socket: Duplex,
    exchange: ServedExchange | undefined,
    converse: (line: Line) => Conversation,
  ): Connection {
    const { clock, heartbeatSeconds, log } = this.#options
    const connection = new Connection({
      websocket,
      socket,
      converse,
      now: () => Math.floor(clock.wall / 1000),
      heartbeatSeconds,
      onSlow: () => {
        this.#slow++
        log?.warn({}, 'a client reads too slowly and was cut off')
      },
    })
    this.#connections.set(connection, exchange)
    if (this.#misbehaviour.outage('websocket') === 'babble') connection.garble(this.#garbage)
    websocket.on('error', (error) =>
      log?.info({ error: error.message }, 'a client broke the WebSocket protocol'),
    )
    websocket.on('close', () => {
      connection.release()
      this.#connections.delete(connection)
    })
    return connection
  }

  /** The exchange whose path this is, and the path after its name. */
  #exchangeOf(path: string): readonly [ServedExchange | undefined, string] {
    const [, name = '', rest = '/'] = /^\/([^/]*)(\/.*)?$/s.exec(path) ?? []
    return [this.#options.exchanges.get(name), rest]
  }

  #welcome(connection: Connection): void {
    const now = this.#now()
    this.#opened.count(now)
    this.#sockets++
    connection.enqueue(
      messages.welcome({
        uptimeSeconds: Math.floor((now - this.#startedAt) / 1000),
        nowMillis: now,
        socketId: `sim${this.#startedAt.toString(36)}${this.#sockets}`,
        socketsActive: this.#connections.size,
        socketsRemaining: 0,
        opened: { max: this.#opened.max(), left: this.#opened.left(now) },
      }),
    )
    connection.flush()
  }

  #lastWords(outage: Refusal): [frames: string, code: number] {
    switch (outage) {
      case 'close':
        return ['', 1001]
      case '401':
        return [messages.unauthorized('format', 'We only support JSON format with a valid api_key.'), 1000]
      case '429':
        this.#refusals++
        return [this.#refusals % 2 === 0 ? messages.openingTooFast() : messages.tooManySockets(), 1000]
    }
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    const { path, query } = target(request)
    if (control(request, response, path, this.#options.controlled)) return
    const outage = this.#misbehaviour.outage('rest')
    const now = this.#now()
    if (outage === 'drop' || outage === 'close') {
      request.socket.destroy()
    } else if (outage === 'stall') {
      this.#stall('rest', request.socket, () => this.#request(request, response))
    } else if (this.#answerFor(path, query, response, outage)) {
      // An exchange has answered: it asks for no key.
    } else if (outage === '401' || keyOf(request, query) === '') {
      const { status, body } = unauthorized()
      send(response, status, body)
    } else if (outage === '429') {
      const { status, body } = rateLimited(this.#calls.made(now), this.#calls.max())
      send(response, status, body, this.#calls.headers(now))
    } else {
      this.#answer(path, query, response, now)
    }
  }

  /** False where the path is none of an exchange. */
  #answerFor(
    path: string,
    query: URLSearchParams,
    response: ServerResponse,
    outage: Outage | undefined,
  ): boolean {
    const [exchange, rest] = this.#exchangeOf(path)
    if (exchange === undefined) return false
    if (outage === '401' || outage === '429') {
      send(response, Number(outage), { message: 'refused' })
      return true
    }
    const url = new URL(`http://simulator${rest}?${query}`)
    const answered = exchange.rest(url)
    if (answered === undefined) send(response, 404, { message: 'NotFound' })
    else send(response, 200, answered as object)
    return true
  }

  #answer(path: string, query: URLSearchParams, response: ServerResponse, now: number): void {
    if (path === '/stats/rate/limit') {
      const Data = { calls_made: this.#calls.made(now), calls_left: this.#calls.left(now) }
      send(response, 200, {
        Response: 'Success',
        Message: '',
        HasWarning: false,
        Type: 100,
        RateLimit: {},
        Data,
      })
      return
    }
    this.#calls.count(now)
    const { feeds, clock } = this.#options
    const found = answer(path, query, feeds, clock)
    if (found) send(response, found.status, found.body, this.#calls.headers(now))
    else
      send(response, 404, {
        Response: 'Error',
        Message: 'Path does not exist',
        HasWarning: false,
        Type: 1,
        RateLimit: {},
        Data: {},
      })
  }

  /** Leaves a handshake or a call hanging until the stall ends. */
  #stall(side: 'websocket' | 'rest', socket: Duplex, go: () => void): void {
    const waiting = this.#stalled[side]
    if (waiting.size >= MOST_STALLED) {
      socket.destroy()
      return
    }
    waiting.add(go)
    socket.once('close', () => waiting.delete(go))
  }
}

function target(request: IncomingMessage): { readonly path: string; readonly query: URLSearchParams } {
  const [path = '/', query] = (request.url ?? '/').split('?', 2)
  return { path, query: new URLSearchParams(query) }
}

/** The API key of a request: any that is not empty is good here. */
function keyOf(request: IncomingMessage, query: URLSearchParams): string {
  const header = /^apikey\s+(\S+)$/i.exec(request.headers.authorization ?? '')
  return header?.[1] ?? query.get('api_key') ?? ''
}
