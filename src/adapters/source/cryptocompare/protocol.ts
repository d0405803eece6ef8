import { z } from 'zod'
import { TapelineError } from '../../../errors.ts'
import type { Market } from '../../../ports/source.ts'
import type { FeedProtocol, FrameMeaning, MarketsChange, Outlet } from '../feed/feed-protocol.ts'
import { parseObject, readFrameText } from '../feed/text.ts'
import { refusalInWords, shownWords } from '../feed/words.ts'
import { candleFrameSchema } from './candles.ts'
import type { ExchangeDirectory } from './exchange-directory.ts'
import { forgetFlow, type Subscriptions, type WantedMarket } from './subscriptions.ts'
import { tickerFrameSchema } from './tickers.ts'
import { type Frame, readTrade } from './trades.ts'

/** Explanations are read where they are there and never make a message malformed. */
const text = z
  .union([z.string(), z.number().transform(String)])
  .optional()
  .catch(undefined)

/** A control message: those of TYPE 3, 16 to 20, 401, 429, 500 and 999. */
const controlSchema = z.object({ MESSAGE: text, PARAMETER: text, INFO: text, SUB: text })

type Control = z.infer<typeof controlSchema>

interface ProtocolOptions {
  readonly subscriptions: Subscriptions
  readonly directory: ExchangeDirectory
  readonly outlet: Outlet
  /** Takes the key out of a text that the service sent. */
  readonly redact: (text: string) => string
}

/** Seen as the answer to a SubRemove too, where it is harmless. */
const UNRECOGNIZED = 'SUBSCRIPTION_UNRECOGNIZED'

/** An error that leaves us with what we asked for. */
const ALREADY_ACTIVE = 'SUBSCRIPTION_ALREADY_ACTIVE'

/** CryptoCompare's WebSocket v2: asks for subscriptions and reads frames by their TYPE (a string or a number). */
export class CryptoCompareProtocol implements FeedProtocol {
  readonly #subscriptions: Subscriptions
  readonly #directory: ExchangeDirectory
  readonly #outlet: Outlet
  readonly #redact: (text: string) => string
  readonly #readers: ReadonlyMap<string, (frame: Frame, recvTs: number) => FrameMeaning>

  constructor(options: ProtocolOptions) {
    this.#subscriptions = options.subscriptions
    this.#directory = options.directory
    this.#outlet = options.outlet
    this.#redact = options.redact
    const control = (read: (control: Control) => FrameMeaning) => (frame: Frame) => {
      const parsed = controlSchema.safeParse(frame)
      return parsed.success ? read(parsed.data) : 'malformed'
    }
    const answer = control(() => 'delivers')
    // Books, top of book and volumes are of the protocol, but nobody subscribes them here.
    const notAskedFor = () => 'neutral' as const
    this.#readers = new Map([
      ['2', (frame: Frame, recvTs: number) => this.#ticker(frame, recvTs)],
      ['5', (frame: Frame, recvTs: number) => this.#ticker(frame, recvTs)],
      ['24', (frame: Frame, recvTs: number) => this.#candle(frame, recvTs)],
      ['3', answer],
      ['16', control((message) => this.#subscribed(message))],
      ['17', answer],
      ['18', answer],
      ['20', control(() => 'neutral')],
      ['401', control((message) => this.#refusal('SOURCE_UNAUTHORIZED', message))],
      ['429', control((message) => this.#limited(message))],
      ['500', control((message) => this.#error(message))],
      ['999', control(() => 'heartbeat')],
      ...['8', '9', '11', '21', '30'].map((type) => [type, notAskedFor] as const),
    ])
  }

  get markets(): number {
    return this.#subscriptions.size
  }

  opened(): readonly string[] {
    for (const wanted of this.#subscriptions.all()) forgetFlow(wanted)
    this.#learnNames()
    return action('SubAdd', this.#subscriptions.placed())
  }

  add(markets: readonly Market[]): MarketsChange {
    const change = asked(this.#subscriptions.add(markets), [])
    if (this.markets > 0) this.#learnNames()
    return change
  }

  stop(): void {
    this.#directory.close()
  }

  remove(markets: readonly Market[]): MarketsChange {
    const { gone, placed } = this.#subscriptions.remove(markets)
    return asked(placed, gone)
  }

  read(data: Buffer, recvTs: number): FrameMeaning {
    const text = readFrameText(data)
    const frame = text === undefined ? undefined : parseObject(text)
    if (!frame) return 'malformed'
    const type = frame['TYPE']
    if (type === '0' || type === 0) return this.#trade(frame, data, recvTs)
    // The service has been seen to send {}.
    if (type === undefined) return Object.keys(frame).length === 0 ? 'neutral' : 'malformed'
    if (typeof type !== 'string' && typeof type !== 'number') return 'malformed'
    return this.#readers.get(String(type))?.(frame, recvTs) ?? 'malformed'
  }

  /** Asks for the service's own names of exchanges, unless they are known, and asks anew for what they change. */
  #learnNames(): void {
    if (!this.#directory.ask(() => this.#useNames())) return
    this.#subscriptions.awaitNames()
  }

  #useNames(): void {
    const renamed = this.#subscriptions.namesSettled()
    const frames = [
      ...action(
        'SubRemove',
        renamed.flatMap(({ former }) => former),
      ),
      ...action(
        'SubAdd',
        renamed.flatMap(({ wanted }) => wanted.subs),
      ),
    ]
    for (const frame of frames) this.#outlet.send(frame)
  }

  #trade(frame: Frame, data: Buffer, recvTs: number): FrameMeaning {
    const { M: exchange, FSYM: base, TSYM: quote } = frame
    if (typeof exchange !== 'string' || typeof base !== 'string' || typeof quote !== 'string')
      return 'malformed'
    const wanted = this.#subscriptions.find(exchange, base, quote)
    if (!wanted) return 'neutral'
    const event = readTrade(frame, data, wanted, recvTs, this.#outlet.maxSkewMs)
    if (typeof event === 'string') return event
    wanted.order.see(event.id, event.ts, this.#outlet.tally)
    this.#outlet.emit({ channel: 'trade', event })
    return 'delivers'
  }

  #ticker(frame: Frame, recvTs: number): FrameMeaning {
    const parsed = tickerFrameSchema.safeParse(frame)
    if (!parsed.success) return 'malformed'
    const { MARKET, FROMSYMBOL, TOSYMBOL } = parsed.data
    const wanted = this.#subscriptions.find(MARKET, FROMSYMBOL, TOSYMBOL)
    if (!wanted) return 'neutral'
    const event = wanted.ticker.merge(parsed.data, recvTs, this.#outlet.maxSkewMs)
    if (event === 'mistimed') return event
    if (event === 'older') this.#outlet.tally.counters.outOfOrder++
    else if (event !== 'unchanged') this.#outlet.emit({ channel: 'quote', event })
    return 'delivers'
  }

  #candle(frame: Frame, recvTs: number): FrameMeaning {
    const parsed = candleFrameSchema.safeParse(frame)
    if (!parsed.success) return 'malformed'
    const { MARKET, FROMSYMBOL, TOSYMBOL } = parsed.data
    const wanted = this.#subscriptions.find(MARKET, FROMSYMBOL, TOSYMBOL)
    if (!wanted) return 'neutral'
    const candles = wanted.candles.update(parsed.data, recvTs, this.#outlet.maxSkewMs)
    if (!candles) return 'mistimed'
    for (const event of candles) this.#outlet.emit({ channel: 'candle', event })
    return 'delivers'
  }

  #limited(message: Control): FrameMeaning {
    const [, limit] = /^TOO_MANY_SUBSCRIPTIONS_MAX_(\d+)/.exec(message.MESSAGE ?? '') ?? []
    if (limit === undefined) return this.#refusal('SOURCE_RATE_LIMITED', message)
    this.#subscriptions.limitTo(Number(limit))
    return 'delivers'
  }

  /** What the service takes back in, it had refused before. */
  #subscribed(message: Control): FrameMeaning {
    const wanted = this.#subscriptions.findSub(message.SUB ?? message.PARAMETER ?? '')
    if (wanted) this.#outlet.refusals.accept(wanted.market)
    return 'delivers'
  }

  /** An error about a subscription concerns that alone; one about something else accuses no market, and proves no delivery. */
  #error(message: Control): FrameMeaning {
    if (message.MESSAGE === 'FORCE_DISCONNECT') return this.#refusal('SOURCE_UNAVAILABLE', message)
    if (message.MESSAGE === ALREADY_ACTIVE) return 'delivers'
    const sub = message.PARAMETER ?? message.SUB ?? ''
    const wanted = this.#subscriptions.findSub(sub)
    if (wanted) this.#subscriptions.refused(wanted, sub, this.#describe(message))
    else if (message.MESSAGE !== UNRECOGNIZED) return this.#complaint(message)
    return 'neutral'
  }

  /** A refused key ends the connection, as TYPE 401 does. */
  #complaint(message: Control): FrameMeaning {
    const words = [this.#describe(message), message.PARAMETER && `(${this.#shown(message.PARAMETER)})`]
    const error = refusalInWords('websocket', words.filter(Boolean).join(' '))
    if (error.code === 'SOURCE_UNAUTHORIZED') return error
    this.#outlet.complain(error)
    return 'neutral'
  }

  #refusal(code: 'SOURCE_UNAUTHORIZED' | 'SOURCE_RATE_LIMITED' | 'SOURCE_UNAVAILABLE', message: Control) {
    return new TapelineError(code, `websocket: ${this.#describe(message)}`)
  }

  #describe(message: Control): string {
    const words = [message.MESSAGE, message.INFO].filter((word) => word !== undefined)
    return this.#shown(words.join(': ')) || 'no reason given'
  }

  #shown(words: string): string {
    return shownWords(words, this.#redact)
  }
}

function asked(placed: readonly WantedMarket[], gone: readonly WantedMarket[]): MarketsChange {
  return {
    send: [...action('SubRemove', subsOf(gone)), ...action('SubAdd', subsOf(placed))],
    added: placed.map((wanted) => wanted.market),
  }
}

function subsOf(markets: readonly WantedMarket[]): readonly string[] {
  return markets.flatMap((wanted) => wanted.subs)
}

function action(name: 'SubAdd' | 'SubRemove', subs: readonly string[]): readonly string[] {
  return subs.length === 0 ? [] : [JSON.stringify({ action: name, subs })]
}
