import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { LedgerTrade } from '../ledger.ts'

const PAUSE_MS = 250
/** A gateway that says nothing for so long is left for another one. */
const SILENCE_MS = 6_000

interface Message {
  readonly op: string
  readonly cursor?: string
  readonly events?: readonly LedgerTrade[]
}

/** An application outside of the platform: it reads one stream, of whatever shape, and goes on at its cursor over whichever gateway answers. */
export class TailoredReader {
  readonly events: LedgerTrade[] = []
  /** What was said besides `subscribed` and data. */
  readonly surprises: Message[] = []
  connections = 0
  #cursor: string | undefined
  #socket: WebSocket | undefined
  readonly #id: string
  readonly #apis: readonly string[]
  readonly #closing = new AbortController()
  readonly #running: Promise<void>

  constructor(apis: readonly string[], { id, cursor }: { readonly id: string; readonly cursor?: string }) {
    this.#apis = apis
    this.#id = id
    this.#cursor = cursor
    this.#running = this.#read()
  }

  /** Event time of the newest event. */
  get newest(): number {
    return this.events.reduce((newest, { ts }) => Math.max(newest, ts), 0)
  }

  /** Loses the connection without a word. */
  cut(): void {
    this.#socket?.terminate()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.cut()
    await this.#running
  }

  async #read(): Promise<void> {
    for (let at = 0; !this.#closing.signal.aborted; at++) {
      await this.#readConnection(this.#apis[at % this.#apis.length] ?? '')
      await delay(PAUSE_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined)
    }
  }

  async #readConnection(api: string): Promise<void> {
    const socket = new WebSocket(`${api.replace(/^http/, 'ws')}/v1/ws`, { handshakeTimeout: 3_000 })
    this.#socket = socket
    const silent = setTimeout(() => socket.terminate(), SILENCE_MS)
    const closed = Promise.withResolvers<void>()
    socket.on('close', () => closed.resolve())
    // It closes after an error, and another one is opened.
    socket.on('error', () => undefined)
    socket.on('open', () => {
      this.connections++
      socket.send(JSON.stringify({ op: 'subscribe', stream: this.#id, cursor: this.#cursor }))
    })
    socket.on('message', (bytes) => {
      silent.refresh()
      const message = JSON.parse(String(bytes)) as Message
      if (message.op === 'data') this.events.push(...(message.events ?? []))
      else if (message.op !== 'subscribed') this.surprises.push(message)
      this.#cursor = message.cursor ?? this.#cursor
    })
    await closed.promise
    clearTimeout(silent)
  }
}
