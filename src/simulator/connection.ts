import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { startInterval, type Timer } from '../async/timers.ts'
import type { Feed, Subscriber } from './feed.ts'

/** A client that reads so slowly that this many bytes wait for it is cut off. */
const MOST_WAITING = 64 * 1024 * 1024

/** A pong that comes later is slow; two in a row end the connection. */
const SLOW_PONG = 10_000

/** What a conversation may do with its connection. */
export interface Line {
  /** So many feeds are followed. */
  readonly followed: number
  enqueue(frames: string): void
  follows(key: string): boolean
  follow(key: string, feed: Feed): void
  /** False where it was not followed. */
  leave(key: string): boolean
  end(frames: string, code: number): void
}

/** What a service says to one client: the protocol on a connection. */
export interface Conversation {
  /** What a new connection is told. */
  opened?(): string
  /** Takes what a client said; undefined where that was no text. */
  received(text: string | undefined): void
  /** What is said at each heartbeat, beside the ping. */
  beat?(nowMillis: number): string
  /** The last words to a client whose pongs are slow. */
  slow?(): string
}

export interface ConnectionOptions {
  readonly websocket: WebSocket
  /** The socket under it: whole ticks of frames are written to it at once. */
  readonly socket: Duplex
  readonly converse: (line: Line) => Conversation
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly heartbeatSeconds: number
  /** Called when it was cut off because it read too slowly. */
  readonly onSlow: () => void
}

/** The connection of one client: what it follows, its pings, and the frames that wait for the next write. */
export class Connection implements Subscriber, Line {
  readonly #conversation: Conversation
  readonly #options: ConnectionOptions
  readonly #feeds = new Map<string, Feed>()
  readonly #heartbeat: Timer
  #out = ''
  #held = false
  #garbage: (() => string) | undefined
  #closed = false
  #pingedAt: number | undefined
  #slowPongs = 0

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#conversation = options.converse(this)
    const { websocket, heartbeatSeconds } = options
    websocket.on('message', (data, binary) => this.#receive(data, binary))
    websocket.on('ping', (data) => websocket.pong(data))
    websocket.on('pong', () => this.#pong())
    this.#heartbeat = startInterval(() => this.#beat(), heartbeatSeconds * 1000)
  }

  get followed(): number {
    return this.#feeds.size
  }

  enqueue(frames: string): void {
    if (this.#closed || frames === '') return
    this.#out += this.#garbage?.() ?? frames
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

  /** While there is garbage, it goes out in the place of what is enqueued. */
  garble(garbage: (() => string) | undefined): void {
    this.#garbage = garbage
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

  /** Says what a new connection is told. */
  greet(): void {
    this.enqueue(this.#conversation.opened?.() ?? '')
    this.flush()
  }

  follows(key: string): boolean {
    return this.#feeds.has(key)
  }

  follow(key: string, feed: Feed): void {
    feed.add(this)
    this.#feeds.set(key, feed)
  }

  leave(key: string): boolean {
    this.#feeds.get(key)?.remove(this)
    return this.#feeds.delete(key)
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
    this.#conversation.received(binary ? undefined : String(data))
    this.flush()
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
    this.enqueue(this.#conversation.beat?.(now) ?? '')
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
    if (this.#slowPongs >= 2) this.end(this.#conversation.slow?.() ?? '', 1000)
  }
}
