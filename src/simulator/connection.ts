import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { z } from 'zod'
import { startInterval, type Timer } from '../async/timers.ts'
import type { Feed, Subscriber } from './feed.ts'
import type { Subscription } from './feeds.ts'
import * as messages from './messages.ts'

/** A client that reads so slowly that this many bytes wait for it is cut off. */
const MOST_WAITING = 64 * 1024 * 1024

/** A pong that comes later is slow; two in a row end the connection. */
const SLOW_PONG = 10_000

const Request = z.object({ action: z.enum(['SubAdd', 'SubRemove']), subs: z.array(z.string()).min(1) })

export interface ConnectionOptions {
  readonly websocket: WebSocket
  /** The socket under it: whole ticks of frames are written to it at once. */
  readonly socket: Duplex
  /** Finds the feeds of a SubAdd, and begins the walks that are not yet on. */
  readonly subscribe: (subscription: string) => Subscription | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly heartbeatSeconds: number
  /** Called when it was cut off because it read too slowly. */
  readonly onSlow: () => void
}

/** One client of WebSocket v2: its subscriptions, its heartbeats, and the frames that wait for the next write. */
export class Connection implements Subscriber {
  readonly #options: ConnectionOptions
  readonly #feeds = new Map<string, Feed>()
  readonly #heartbeat: Timer
  #out = ''
  #held = false
  #closed = false
  #pingedAt: number | undefined
  #slowPongs = 0

  constructor(options: ConnectionOptions) {
    this.#options = options
    const { websocket, heartbeatSeconds } = options
    websocket.on('message', (data, binary) => this.#receive(data, binary))
    websocket.on('ping', (data) => websocket.pong(data))
    websocket.on('pong', () => this.#pong())
    this.#heartbeat = startInterval(() => this.#beat(), heartbeatSeconds * 1000)
  }

  get subscriptions(): number {
    return this.#feeds.size
  }

  enqueue(frames: string): void {
    if (this.#closed) return
    this.#out += frames
    if (this.#out.length > MOST_WAITING) this.#cutSlow()
  }

  /** Writes what was enqueued, unless the connection is held. */
  flush(): void {
    if (this.#out === '' || this.#held || this.#closed) return
    const frames = this.#out
    this.#out = ''
    const { socket } = this.#options
    socket.write(frames, 'latin1')
    if (socket.writableLength > MOST_WAITING) this.#cutSlow()
  }

  /** While it is held, nothing is read and nothing is written; what is enqueued waits. */
  hold(held: boolean): void {
    if (this.#held === held || this.#closed) return
    this.#held = held
    if (held) {
      this.#options.websocket.pause()
    } else {
      this.#pingedAt = undefined
      this.#options.websocket.resume()
      this.flush()
    }
  }

  /** Says this last, then closes with this code (RFC 6455, section 7.4). */
  end(frames: string, code: number): void {
    if (this.#closed) return
    this.hold(false)
    this.#out = frames
    this.flush()
    this.#options.websocket.close(code)
    this.release()
  }

  /** Ends it without a word. */
  cut(): void {
    this.release()
    this.#options.websocket.terminate()
  }

  /** Leaves all feeds and stops the timer; to be called when the WebSocket has closed, for whatever reason. */
  release(): void {
    this.#closed = true
    this.#out = ''
    this.#heartbeat?.stop()
    for (const feed of this.#feeds.values()) feed.remove(this)
    this.#feeds.clear()
  }

  #cutSlow(): void {
    if (this.#closed) return
    this.#options.onSlow()
    this.cut()
  }

  #receive(data: RawData, binary: boolean): void {
    if (this.#closed) return
    const request = binary ? undefined : parseJson(String(data))
    if (request === undefined) this.enqueue(messages.serverError('INVALID_JSON', 'message'))
    else this.#serve(request)
    this.flush()
  }

  #serve(request: unknown): void {
    const parsed = Request.safeParse(request)
    if (!parsed.success) {
      const parameter = String(parsed.error.issues[0]?.path[0] ?? 'message')
      this.enqueue(messages.serverError('INVALID_PARAMETER', parameter))
      return
    }
    const { action, subs } = parsed.data
    if (action === 'SubAdd') this.#add(subs)
    else this.#remove(subs)
  }

  #add(subs: readonly string[]): void {
    const room = messages.SUBSCRIPTIONS_PER_SOCKET - this.#feeds.size
    for (const sub of subs.slice(0, room)) this.#addOne(sub)
    const first = subs[room]
    if (first !== undefined) this.enqueue(messages.tooManySubscriptions(first))
    this.enqueue(messages.loadComplete())
  }

  #addOne(sub: string): void {
    if (this.#feeds.has(sub)) {
      this.enqueue(messages.serverError('SUBSCRIPTION_ALREADY_ACTIVE', sub))
      return
    }
    const found = this.#options.subscribe(sub)
    if (!found) {
      this.enqueue(messages.serverError('INVALID_SUB', sub))
      return
    }
    this.enqueue(found.feed.first())
    found.feed.add(this)
    this.#feeds.set(sub, found.feed)
    this.enqueue(messages.subscribeComplete(sub))
  }

  #remove(subs: readonly string[]): void {
    let valid = 0
    for (const sub of subs) {
      const feed = this.#feeds.get(sub)
      if (!feed) {
        this.enqueue(messages.serverError('SUBSCRIPTION_UNRECOGNIZED', sub))
        continue
      }
      valid++
      feed.remove(this)
      this.#feeds.delete(sub)
      this.enqueue(messages.unsubscribeComplete(sub))
    }
    this.enqueue(messages.unsubscribeAllComplete(valid, subs.length - valid))
  }

  #beat(): void {
    if (this.#held) return
    const now = this.#options.now()
    if (this.#pingedAt === undefined) {
      this.#pingedAt = now
      this.#options.websocket.ping()
    } else if (now - this.#pingedAt > SLOW_PONG) {
      this.#slowPong()
      if (this.#closed) return
      this.#pingedAt = now
      this.#options.websocket.ping()
    }
    this.enqueue(messages.heartbeat(now))
    this.flush()
  }

  #pong(): void {
    if (this.#pingedAt === undefined) return
    const slow = this.#options.now() - this.#pingedAt > SLOW_PONG
    this.#pingedAt = undefined
    if (slow) this.#slowPong()
    else this.#slowPongs = 0
  }

  #slowPong(): void {
    this.#slowPongs++
    if (this.#slowPongs >= 2) this.end(messages.serverError('FORCE_DISCONNECT', 'pong'), 1000)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: the client is told so.
    return undefined
  }
}
