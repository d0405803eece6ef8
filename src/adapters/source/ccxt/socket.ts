import { EventEmitter } from 'node:events'
import { startInterval, type Timer } from '../../../async/timers.ts'
import { canonicalSymbol } from '../../../domain/market-names.ts'
import type { LinkSocket } from '../feed/link.ts'
import type { FeedChannel } from '../feed/source-kind.ts'
import { type CcxtBook, type CcxtExchange, type CcxtLibrary, type CcxtTicker, isOf } from './library.ts'
import type { CcxtFrame, CcxtRequest } from './wire.ts'

const [CONNECTING, OPEN, CLOSED] = [0, 1, 3]
/** As a WebSocket says that the connection was lost. */
const ABNORMAL = 1006
/** ccxt itself asks its connections whether they are there, and fails where they are not. */
const HEARTBEAT_MS = 10_000

interface CcxtSocketOptions {
  readonly library: CcxtLibrary
  /** Makes an exchange whose markets are loaded. */
  readonly open: () => Promise<CcxtExchange>
}

/**
 * The connections of one exchange of ccxt, as one that looks like a WebSocket: it takes requests and says what ccxt says, so that reconnecting, silence, gaps
 * and books are those of all sources. When one of its connections fails, all of it has failed.
 */
class CcxtSocket extends EventEmitter {
  readyState = CONNECTING
  readonly #options: CcxtSocketOptions
  /** What ccxt calls our symbols. */
  #symbols = new Map<string, string>()
  #exchange: CcxtExchange | undefined
  /** What is asked for, as channel and symbol. */
  readonly #wanted = new Set<string>()
  #heartbeat: Timer | undefined

  constructor(options: CcxtSocketOptions) {
    super()
    this.#options = options
    void this.#open()
  }

  async #open(): Promise<void> {
    try {
      const exchange = await this.#options.open()
      if (this.readyState !== CONNECTING) return void exchange.close().catch(() => undefined)
      this.#exchange = exchange
      this.#symbols = symbolsOf(exchange)
      this.#watchFrames(exchange)
      this.readyState = OPEN
      this.#heartbeat = startInterval(() => this.#beat(exchange), HEARTBEAT_MS).unref()
      this.emit('open')
    } catch (error) {
      this.#end(error)
    }
  }

  /** What ccxt cannot read it drops without a word: here it is told. */
  #watchFrames(exchange: CcxtExchange): void {
    const handle = exchange.handleMessage.bind(exchange)
    exchange.handleMessage = (client, message) => {
      if (typeof message === 'string' && !/^[a-z0-9:]{0,20}$/i.test(message)) this.#say(message)
      try {
        return handle(client, message)
      } catch {
        this.#say(JSON.stringify(message) ?? '')
        return undefined
      }
    }
  }

  #beat({ clients }: CcxtExchange): void {
    if (Object.values(clients).some(({ connection }) => connection?.readyState === OPEN))
      this.#tell({ of: 'heartbeat' })
  }

  send(text: string): void {
    const { op, names, channels, depth } = JSON.parse(text) as CcxtRequest
    for (const name of names) {
      const symbol = this.#symbols.get(name)
      if (symbol === undefined && op === 'subscribe') {
        this.#tell({ of: 'refused', name, words: `ccxt knows no market ${name} there` })
        continue
      }
      for (const channel of channels) {
        const key = `${channel} ${name}`
        if (op === 'unsubscribe') this.#wanted.delete(key)
        else if (symbol !== undefined && !this.#wanted.has(key)) {
          this.#wanted.add(key)
          void this.#follow(channel, name, symbol, depth)
        }
      }
    }
  }

  async #follow(channel: FeedChannel, name: string, symbol: string, depth: number): Promise<void> {
    const exchange = this.#exchange
    const key = `${channel} ${name}`
    while (exchange !== undefined && this.readyState === OPEN && this.#wanted.has(key)) {
      try {
        const frames = await nextFrames(exchange, channel, name, symbol, depth)
        if (this.readyState !== OPEN || !this.#wanted.has(key)) return
        for (const frame of frames) this.#tell(frame)
      } catch (error) {
        if (this.readyState !== OPEN || !this.#wanted.has(key)) return
        if (!this.#isOfMarket(error)) return this.#end(error)
        if (channel === 'book' && isOf(this.#options.library, error, 'InvalidNonce', 'ChecksumError')) {
          this.#tell({ of: 'book', name, data: null })
          continue
        }
        this.#wanted.delete(key)
        this.#tell({ of: 'refused', name, words: `${channel}: ${wordsOf(error)}` })
        return
      }
    }
  }

  /** Whether an error concerns what was asked, not the connection. */
  #isOfMarket(error: unknown): boolean {
    const { library } = this.#options
    return (
      isOf(library, error, 'ExchangeError', 'InvalidNonce') &&
      !isOf(library, error, 'AuthenticationError', 'OperationFailed')
    )
  }

  #tell(frame: CcxtFrame): void {
    this.#say(JSON.stringify(frame))
  }

  #say(text: string): void {
    if (this.readyState === OPEN) this.emit('message', Buffer.from(text))
  }

  #end(error: unknown): void {
    if (this.readyState === CLOSED) return
    this.#stop()
    this.emit('close', ABNORMAL, Buffer.from(wordsOf(error)))
  }

  /** ccxt pings its connections itself, and fails where no answer comes. */
  ping(): void {
    queueMicrotask(() => this.emit('pong'))
  }

  close(): void {
    this.terminate()
  }

  terminate(): void {
    if (this.readyState === CLOSED) return
    this.#stop()
    queueMicrotask(() => this.emit('close', ABNORMAL, Buffer.alloc(0)))
  }

  #stop(): void {
    this.readyState = CLOSED
    this.#heartbeat?.stop()
    this.#wanted.clear()
    this.#exchange?.close().catch(() => undefined)
    this.#exchange = undefined
  }
}

/** Opens the connections of an exchange. */
export function openCcxtSocket(options: CcxtSocketOptions): LinkSocket {
  return new CcxtSocket(options) as unknown as LinkSocket
}

/** A trade is a frame of its own, so that each that cannot be read is counted. */
async function nextFrames(
  exchange: CcxtExchange,
  channel: FeedChannel,
  name: string,
  symbol: string,
  depth: number,
): Promise<readonly CcxtFrame[]> {
  if (channel === 'trade') {
    const trades = await exchange.watchTrades(symbol)
    return trades.map(({ id, timestamp, side, price, amount }) => {
      return { of: 'trade', name, data: { id, timestamp, side, price, amount } }
    })
  }
  if (channel === 'quote') {
    const { timestamp, bid, bidVolume, ask, askVolume, last, baseVolume } = await tickerOf(exchange, symbol)
    return [{ of: 'quote', name, data: { timestamp, bid, bidVolume, ask, askVolume, last, baseVolume } }]
  }
  const { timestamp, bids, asks } = await exchange.watchOrderBook(symbol)
  // ccxt's lists are of a class of its own, whose slices are others.
  const data = { timestamp, bids: [...bids].slice(0, depth), asks: [...asks].slice(0, depth) }
  return [{ of: 'book', name, data }]
}

async function tickerOf(exchange: CcxtExchange, symbol: string): Promise<CcxtTicker> {
  const { has } = exchange
  if (has['watchTicker']) return exchange.watchTicker(symbol)
  if (has['watchBidsAsks'] && exchange.watchBidsAsks)
    return (await exchange.watchBidsAsks([symbol]))[symbol] ?? {}
  return has['watchOrderBook'] ? bestOf(await exchange.watchOrderBook(symbol)) : exchange.watchTicker(symbol)
}

/** The best prices of a book, for exchanges that tell them in no other way. */
function bestOf({ timestamp, bids, asks }: CcxtBook): CcxtTicker {
  const [[bid, bidVolume] = [], [ask, askVolume] = []] = [bids[0], asks[0]]
  return { timestamp, bid, bidVolume, ask, askVolume }
}

/** What ccxt calls each of our symbols: BTC-USD is BTC/USD. Where two are one symbol, the first that can be traded counts, as in lists. */
function symbolsOf({ markets = {} }: CcxtExchange): Map<string, string> {
  const found = new Map<string, { readonly symbol: string; readonly isTrading: boolean }>()
  for (const { symbol, active } of Object.values(markets)) {
    const ours = canonicalSymbol(symbol.replace('/', '-'))
    const isTrading = active !== false
    if (ours === undefined) continue
    const known = found.get(ours)
    if (known === undefined || (isTrading && !known.isTrading)) found.set(ours, { symbol, isTrading })
  }
  return new Map([...found].map(([ours, { symbol }]) => [ours, symbol]))
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
