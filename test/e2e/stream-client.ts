import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { LedgerTrade } from './ledger.ts'
import { until } from './platform-process.ts'

/** What the server sends, `data` aside. */
export interface ServerMessage {
  readonly op: 'subscribed' | 'reset' | 'end' | 'error'
  readonly stream?: string
  readonly topic?: string
  readonly cursor?: string
  readonly reason?: string
  readonly code?: string
  readonly message?: string
  readonly remedy?: string
}

/** A data frame as it arrived. */
interface DataFrame {
  readonly stream: string
  readonly cursor: string
  readonly events: readonly LedgerTrade[]
  readonly text: string
}

/** An outside application: a plain WebSocket that keeps everything that it gets. */
export class StreamClient {
  readonly socket: WebSocket
  readonly messages: ServerMessage[] = []
  readonly frames: DataFrame[] = []
  /** The last cursor of each stream. */
  readonly cursors = new Map<string, string>()
  /** When the first data frame came, by `performance.now()`. */
  firstDataAt: number | undefined

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (bytes) => this.#take(String(bytes)))
    // A cut connection is what some tests are about; whoever waits for something notices.
    socket.on('error', () => {})
  }

  /** Opens a socket to the platform. */
  static async open(api: string): Promise<StreamClient> {
    const socket = new WebSocket(`${api.replace(/^http/, 'ws')}/v1/ws`)
    const client = new StreamClient(socket)
    await once(socket, 'open')
    return client
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message))
  }

  /** Subscribes by a spec, again where no coordinator answers in time, and gives the id of the lease. */
  async request(spec: object): Promise<string> {
    let answer: ServerMessage | undefined
    await until('the request is answered', async () => {
      const before = this.messages.length
      this.send({ op: 'subscribe', spec })
      await until('the stream is subscribed', () => this.messages.length > before)
      answer = this.messages[before]
      return answer?.code !== 'CONTROL_UNAVAILABLE'
    })
    if (answer?.op !== 'subscribed') throw new Error(`not subscribed: ${JSON.stringify(answer)}`)
    return answer.stream ?? ''
  }

  /** The trades of a stream, in order. */
  events(stream: string): LedgerTrade[] {
    return this.frames.filter((frame) => frame.stream === stream).flatMap(({ events }) => events)
  }

  count(stream: string): number {
    return this.frames.reduce((sum, frame) => sum + (frame.stream === stream ? frame.events.length : 0), 0)
  }

  /** Cuts the connection without a word. What had not been taken by then is lost, as in a crash. */
  cut(): void {
    this.socket.removeAllListeners('message')
    this.socket.terminate()
  }

  #take(text: string): void {
    const message = JSON.parse(text) as ServerMessage | (DataFrame & { op: 'data' })
    if (message.stream !== undefined && message.cursor !== undefined)
      this.cursors.set(message.stream, message.cursor)
    if (message.op !== 'data') {
      this.messages.push(message)
      return
    }
    this.firstDataAt ??= performance.now()
    const { stream, cursor, events } = message
    this.frames.push({ stream, cursor, events, text })
  }
}
