import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { decodeCursor } from '../../../src/domain/cursor.ts'
import { type LedgerTrade, tradeKey } from '../ledger.ts'
import type { ServerMessage } from '../stream-client.ts'
import type { ReadSegment } from './checks.ts'

/** A platform that says nothing for so long is left for another one: the streams of these tests are busy. */
const SILENCE_MS = 6_000
const PAUSE_MS = 250
const POST_MS = 15_000

type Message = ServerMessage | { op: 'data'; stream: string; cursor: string; events: readonly LedgerTrade[] }

interface Segment extends ReadSegment {
  readonly keys: string[]
}

/** An application that means to have all of its stream: it resumes by cursor, over whichever of several gateways answers. */
export class ResumingClient {
  readonly name: string
  readonly #apis: readonly string[]
  readonly #spec: object
  readonly #closing = new AbortController()
  #stream: { readonly lease: string; readonly topic: string } | undefined
  #cursor = ''
  #at: number
  #socket: WebSocket | undefined
  #running: Promise<void> = Promise.resolve()
  /** What came, without a hole; a `reset` begins a new one. */
  readonly segments: Segment[] = []
  /** What the server said besides `subscribed` and data. */
  readonly surprises: ServerMessage[] = []
  connections = 0
  /** Event time of the newest trade, in microseconds. */
  newest = 0
  count = 0

  constructor(name: string, apis: readonly string[], spec: object, first = 0) {
    this.name = name
    this.#apis = apis
    this.#spec = spec
    this.#at = first
  }

  get stream(): { readonly lease: string; readonly topic: string } {
    if (this.#stream === undefined) throw new Error(`${this.name} has no stream`)
    return this.#stream
  }

  /** Asks for the stream, at whichever gateway answers, and reads it from its beginning until `close`. */
  async open(signal: AbortSignal): Promise<void> {
    let last = 'nothing'
    for (;;) {
      if (signal.aborted)
        throw new Error(`${this.name} was not given its stream: the last answer was ${last}`, {
          cause: signal.reason,
        })
      const answer = await this.#ask().catch((error: unknown) => String(error))
      if (typeof answer !== 'string') {
        this.#stream = { lease: answer.id, topic: answer.topic }
        // Without a cursor an earlier answer was lost on its way: the topic is there, and it begins where it is subscribed.
        if (answer.cursor !== undefined) this.#begin(answer.cursor)
        break
      }
      last = answer
      this.#at++
      await delay(PAUSE_MS)
    }
    this.#running = this.#read()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#socket?.terminate()
    await this.#running
  }

  /** Loses the connection without a word, and opens another. */
  cut(): void {
    this.#socket?.terminate()
  }

  get #api(): string {
    return this.#apis[this.#at % this.#apis.length] ?? ''
  }

  async #ask(): Promise<{ id: string; topic: string; cursor?: string }> {
    const response = await fetch(`${this.#api}/v1/streams`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...this.#spec, ttl: 0 }),
      signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(POST_MS)]),
    })
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
    return (await response.json()) as { id: string; topic: string; cursor?: string }
  }

  async #read(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await this.#readConnection()
      this.#at++
      await delay(PAUSE_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined)
    }
  }

  /** Resolves when the connection is over. */
  async #readConnection(): Promise<void> {
    const socket = new WebSocket(`${this.#api.replace(/^http/, 'ws')}/v1/ws`, { handshakeTimeout: 3_000 })
    this.#socket = socket
    const silent = setTimeout(() => socket.terminate(), SILENCE_MS)
    const closed = Promise.withResolvers<void>()
    socket.on('close', () => closed.resolve())
    // It closes after an error, and whoever reads opens another one.
    socket.on('error', () => undefined)
    socket.on('open', () => {
      this.connections++
      const cursor = this.#cursor === '' ? {} : { cursor: this.#cursor }
      socket.send(JSON.stringify({ op: 'subscribe', stream: this.stream.lease, ...cursor }))
    })
    socket.on('message', (bytes) => {
      silent.refresh()
      const message = JSON.parse(String(bytes)) as Message
      if (message.op === 'data') this.#take(message.cursor, message.events)
      else if (message.op !== 'subscribed') this.#surprise(message, socket)
      else if (this.#cursor === '') this.#begin(message.cursor ?? '')
    })
    await closed.promise
    clearTimeout(silent)
  }

  #begin(cursor: string): void {
    this.#cursor = cursor
    this.segments.push({ offset: decodeCursor(cursor, '').topics[0]?.offset ?? -1, keys: [] })
  }

  #take(cursor: string, events: readonly LedgerTrade[]): void {
    this.#cursor = cursor
    const segment = this.segments.at(-1)
    for (const event of events) {
      segment?.keys.push(tradeKey(event))
      if (event.ts > this.newest) this.newest = event.ts
    }
    this.count += events.length
  }

  #surprise(message: ServerMessage, socket: WebSocket): void {
    this.surprises.push(message)
    if (message.op === 'reset' && message.cursor !== undefined) {
      this.#begin(message.cursor)
    } else if (message.op === 'error') socket.terminate()
  }
}
