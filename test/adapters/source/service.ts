import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { until } from './waiting.ts'

export type RestAnswer = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

interface Behaviour {
  /** What a new WebSocket gets; the socket is open. */
  connected?: (socket: WebSocket) => void
  /** What the service does with a frame from the client. */
  received?: (frame: Record<string, unknown>, socket: WebSocket) => void
  /** Refuses the upgrade with this HTTP status, and this body. */
  refuse?: number
  refusal?: string
  /** Leaves upgrades and calls without any answer. */
  hang?: boolean
  rest?: (url: URL) => RestAnswer | 'hang'
  /** The answer to the question for all exchanges, which is no call of the polling. */
  exchanges?: () => RestAnswer | 'hang' | Promise<RestAnswer>
}

/** A small exchange for one test: a WebSocket and REST on one port, whose behaviour the test may change at any time. */
export class Service {
  readonly behaviour: Behaviour
  /** Frames that clients sent, over all connections. */
  readonly received: Record<string, unknown>[] = []
  /** Addresses of upgrades and of REST calls, with their headers. */
  readonly upgrades: IncomingMessage[] = []
  readonly calls: { readonly url: URL; readonly headers: IncomingMessage['headers'] }[] = []
  directoryCalls = 0
  readonly #http = createServer((request, response) => void this.#call(request, response))
  readonly #websockets = new WebSocketServer({ noServer: true })
  /** Upgraded connections: the server itself forgets them. */
  readonly #raw = new Set<Duplex>()
  #port = 0

  private constructor(behaviour: Behaviour) {
    this.behaviour = behaviour
  }

  static async start(t: TestContext, behaviour: Behaviour = {}): Promise<Service> {
    const service = new Service(behaviour)
    service.#http.on('upgrade', (request, socket, head) => {
      service.upgrades.push(request)
      socket.on('error', () => undefined)
      service.#raw.add(socket.resume())
      socket.on('close', () => service.#raw.delete(socket))
      if (service.behaviour.hang) return
      if (service.behaviour.refuse) {
        const { refuse, refusal = '' } = service.behaviour
        socket.end(`HTTP/1.1 ${refuse} Refused\r\nconnection: close\r\n\r\n${refusal}`)
        return
      }
      service.#websockets.handleUpgrade(request, socket, head, (client) => service.#accept(client))
    })
    await service.listen()
    t.after(() => service.stop())
    return service
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/v2`
  }

  get restUrl(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get sockets(): WebSocket[] {
    return [...this.#websockets.clients].filter((client) => client.readyState === client.OPEN)
  }

  /** Sends frames to everybody who is connected: text and bytes as they are, anything else as JSON. */
  send(...frames: readonly unknown[]): void {
    for (const socket of this.sockets) for (const frame of frames) sendFrame(socket, frame)
  }

  cut(): void {
    for (const socket of this.#websockets.clients) socket.terminate()
  }

  /** Waits until a client has sent a frame that the test looks for. */
  async asked(what: string, matches: (frame: Record<string, unknown>) => boolean): Promise<void> {
    await until(`the client sends ${what}`, () => this.received.some(matches))
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#http.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#http.address() as AddressInfo).port
  }

  /** Refuses everything from now on, until `listen`. */
  async stop(): Promise<void> {
    this.cut()
    const stopped = new Promise<void>((resolve) => this.#http.close(() => resolve()))
    this.#http.closeAllConnections()
    for (const socket of this.#raw) socket.destroy()
    await stopped
  }

  #accept(socket: WebSocket): void {
    socket.on('message', (data) => {
      // OKX's clients say this in so many letters.
      if (String(data) === 'ping') return
      const frame = JSON.parse(String(data)) as Record<string, unknown>
      this.received.push(frame)
      this.behaviour.received?.(frame, socket)
    })
    this.behaviour.connected?.(socket)
  }

  async #call(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.restUrl)
    const isDirectory = url.pathname === '/data/v4/all/exchanges'
    if (isDirectory) this.directoryCalls++
    else this.calls.push({ url, headers: request.headers })
    const answer = this.behaviour.hang
      ? 'hang'
      : ((isDirectory ? await this.behaviour.exchanges?.() : this.behaviour.rest?.(url)) ?? {
          status: 404,
          body: { Message: 'no such route' },
        })
    if (answer === 'hang') return
    response.writeHead(answer.status ?? 200, answer.headers)
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
  }
}

/** Sends text and bytes as text frames, anything else as JSON. */
export function sendFrame(socket: WebSocket, frame: unknown): void {
  if (typeof frame === 'string') socket.send(frame)
  else if (frame instanceof Uint8Array) socket.send(frame, { binary: false })
  else socket.send(JSON.stringify(frame))
}
