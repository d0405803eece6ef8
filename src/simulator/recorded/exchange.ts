import type { Dialect, RecordedFrame, ToldChannel, Topic } from '../exchanges/dialect.ts'
import type { ServedExchange } from '../exchanges/served.ts'
import { type Feed, SharedFeed } from '../feed.ts'
import { jsonTextFrame } from '../frame.ts'

/** So much of what was told is kept for those who ask later, in characters. Beyond it the feed that would keep more forgets what it has. */
const MOST_KEPT = 64 * 1024 * 1024
/** A snapshot by REST joins changes that came before it: so many of them are enough. */
const KEPT_BEFORE_ANSWER = 100

/** Reads the frames of one recorded connection; undefined where one tells of no market. */
type FrameReader = (text: string) => RecordedFrame | undefined

export function openFrameReader(dialect: Dialect): FrameReader {
  const read = dialect.recorded()
  return (text) => read(parsed(text), text)
}

/** How much all feeds of an exchange keep. */
interface Room {
  taken: number
}

/**
 * What was recorded of one topic. Whoever is the first to follow it gets all of it from its beginning, however late: nothing that was recorded is lost while
 * a client asks for one market after another. Later ones get the book as far as it has come, and the last of the best prices.
 */
class RecordedFeed extends SharedFeed {
  readonly #channel: ToldChannel
  readonly #room: Room
  #kept: string[] = []
  #isTaken = false

  constructor(channel: ToldChannel, room: Room) {
    super()
    this.#channel = channel
    this.#room = room
  }

  first(): string {
    const frames = this.#kept.join('')
    this.#isTaken = true
    if (this.#channel !== 'book') this.#keepLast(this.#channel === 'quote' ? 1 : 0)
    return frames
  }

  update(): string {
    return ''
  }

  /** Tells of it, and keeps it for whoever comes. */
  tell(frame: string, isWhole: boolean): void {
    if (this.#isTaken && (isWhole || this.#channel !== 'book')) this.#keepLast(0)
    if (!this.#isTaken || this.#channel === 'book' || this.#channel === 'quote') this.#keep(frame)
    this.broadcast(frame)
  }

  /** A snapshot came by REST. */
  answered(): void {
    if (this.#isTaken) this.#keepLast(KEPT_BEFORE_ANSWER)
  }

  #keep(frame: string): void {
    if (this.#room.taken + frame.length > MOST_KEPT) {
      this.#keepLast(0)
      return
    }
    this.#kept.push(frame)
    this.#room.taken += frame.length
  }

  #keepLast(count: number): void {
    const gone = this.#kept.splice(0, Math.max(0, this.#kept.length - count))
    for (const { length } of gone) this.#room.taken -= length
  }
}

/** An exchange that tells what was recorded of it, in its own protocol: to each client what it asks for. */
export class RecordedExchange implements ServedExchange {
  readonly dialect: Dialect
  readonly #names: ReadonlySet<string>
  readonly #onAsked: () => void
  readonly #room: Room = { taken: 0 }
  readonly #feeds = new Map<string, RecordedFeed>()
  /** The last answers by REST, by what the exchange calls the market. */
  readonly #answers = new Map<string, string>()
  #read: FrameReader

  /** `names`: what the exchange calls the markets that were recorded. `onAsked` is called whenever somebody asks for one. */
  constructor(dialect: Dialect, names: readonly string[], onAsked: () => void) {
    this.dialect = dialect
    this.#names = new Set(names)
    this.#onAsked = onAsked
    this.#read = openFrameReader(dialect)
  }

  get markets(): number {
    return this.#names.size
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  /** Depths are those of the recording, whatever is asked for. */
  find({ channel, name }: Topic): { readonly feed: Feed } | undefined {
    if (!this.has(name)) return undefined
    this.#onAsked()
    return { feed: this.#feedOf(channel, name) }
  }

  /** Snapshots of books, as far as the recording has come; nothing else was recorded. */
  rest(url: URL): unknown {
    const name = this.dialect.books.rest?.asks(url)
    const body = name === undefined ? undefined : this.#answers.get(name)
    return body === undefined ? undefined : JSON.parse(body)
  }

  /** The recording begins another connection. */
  opened(): void {
    this.#read = openFrameReader(this.dialect)
  }

  /** The recording begins anew: nobody has been told anything. */
  restart(): void {
    this.#feeds.clear()
    this.#answers.clear()
    this.#room.taken = 0
    this.opened()
  }

  /** Tells a recorded frame to whoever follows its topic. False where it is none of a market that is served. */
  tell(text: string): boolean {
    const told = this.#read(text)
    if (told === undefined || !this.has(told.topic.name)) return false
    const { channel, name } = told.topic
    this.#feedOf(channel, name).tell(jsonTextFrame(told.text ?? text), told.isWhole ?? false)
    return true
  }

  /** Takes a recorded answer by REST. */
  answered(address: string, body: string): void {
    const name = this.#marketOf(address)
    if (name === undefined || parsed(body) === undefined) return
    this.#answers.set(name, body)
    this.#feedOf('book', name).answered()
  }

  #feedOf(channel: ToldChannel, name: string): RecordedFeed {
    const key = `${channel} ${name}`
    const feed = this.#feeds.get(key) ?? new RecordedFeed(channel, this.#room)
    this.#feeds.set(key, feed)
    return feed
  }

  /** The market whose book an address asks for: what stands before the path belongs to the recorded server. */
  #marketOf(address: string): string | undefined {
    const { rest } = this.dialect.books
    if (rest === undefined || !URL.canParse(address)) return undefined
    const url = new URL(address)
    for (let at = 0; at >= 0; at = url.pathname.indexOf('/', at + 1)) {
      const name = rest.asks(new URL(`${url.pathname.slice(at)}${url.search}`, url.origin))
      if (name !== undefined) return name
    }
    return undefined
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
