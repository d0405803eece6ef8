import type { Conversation, Line } from '../connection.ts'
import { jsonFrame, textFrame } from '../frame.ts'
import type { Market } from '../market.ts'
import type { Topic } from './dialect.ts'
import type { ServedExchange } from './served.ts'

/** RFC 6455: a policy was violated. */
const VIOLATED = 1008

/** One client of an exchange: it is answered, and told what it asked for, within the limits of the exchange. */
export class ExchangeConversation implements Conversation {
  readonly #feeds: ServedExchange
  readonly #start: (market: Market) => void
  readonly #line: Line
  #second = 0
  #frames = 0

  constructor(feeds: ServedExchange, start: (market: Market) => void, line: Line) {
    this.#feeds = feeds
    this.#start = start
    this.#line = line
  }

  opened(): string {
    const { greeting } = this.#feeds.dialect
    return greeting === undefined ? '' : jsonFrame(greeting)
  }

  received(text: string | undefined): void {
    const { dialect } = this.#feeds
    if (!this.#isWithinPace()) {
      this.#line.end('', VIOLATED)
      return
    }
    const frame = text === undefined ? undefined : parsed(text)
    const asked = dialect.asks(frame)
    if (asked === undefined) {
      this.#say(dialect.reply?.(frame))
      return
    }
    const { op, topics } = asked
    const unknown = [...new Set(topics.map(({ name }) => name).filter((name) => !this.#feeds.has(name)))]
    const answers = dialect.answer(frame, unknown)
    for (const each of answers) this.#say(each)
    // Where one answer refuses the whole request, none of its markets comes.
    if (unknown.length > 0 && answers.length === 1 && dialect.refusesWhole) return
    for (const topic of topics) this.#change(op, topic)
    if (this.#line.followed > (dialect.limits.topics ?? Number.POSITIVE_INFINITY))
      this.#line.end('', VIOLATED)
  }

  #change(op: 'subscribe' | 'unsubscribe', topic: Topic): void {
    const { channel, name, depth = '' } = topic
    const key = `${channel} ${name} ${depth}`
    if (op === 'unsubscribe') {
      this.#line.leave(key)
      return
    }
    const found = this.#feeds.find(topic)
    if (found === undefined || this.#line.follows(key)) return
    this.#line.enqueue(found.feed.first())
    this.#line.follow(key, found.feed)
    if (found.market) this.#start(found.market)
  }

  #say(message: object | string | undefined): void {
    if (message !== undefined)
      this.#line.enqueue(typeof message === 'string' ? textFrame(message) : jsonFrame(message))
  }

  #isWithinPace(): boolean {
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.#second) this.#frames = 0
    this.#second = second
    this.#frames++
    return this.#frames <= (this.#feeds.dialect.limits.framesPerSecond ?? Number.POSITIVE_INFINITY)
  }
}

/** What a text says; itself where it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
