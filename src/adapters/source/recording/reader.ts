import type { Log } from '../../../ports/log.ts'
import type { Market, SourceItem } from '../../../ports/source.ts'
import { BOOK_RULES, readBook } from '../coinbase/books.ts'
import { type CoinbaseFrame, CoinbaseReader } from '../coinbase/frames.ts'
import { BookKeeper } from '../feed/book-keeper.ts'
import type { FeedProtocol } from '../feed/feed-protocol.ts'
import { Refusals } from '../feed/refusals.ts'
import { type SourceKind, USUAL, USUAL_BOOK_DEPTH } from '../feed/source-kind.ts'
import type { Tally } from '../feed/tally.ts'
import { TradeSequences } from '../feed/trade-sequence.ts'

/** Reads recorded frames of one source, by what reads its live ones. Times are recorded ones, in microseconds. */
export interface RecordedReader {
  /** Markets that the recording has besides. */
  add(markets: readonly Market[]): void
  /** A new connection. */
  opened(): void
  read(frame: string, ts: number): void
  /** What came by REST. */
  answered(url: string, body: string, ts: number): void
  /** So late it is: what waits for late frames no longer is passed on. */
  elapse(ts: number): void
  /** The connection ended; nothing that is late will come. */
  closed(): void
  /** The recording ends: what it has named and nothing brought is told. */
  finish(): void
  /** Nobody wants the market any more. */
  forget(market: Market): void
}

interface ReaderParts {
  readonly push: (item: SourceItem) => void
  readonly wants: (market: Market) => boolean
  readonly tally: Tally
  readonly maxSkewMs: number
  /** The recorded time. */
  readonly now: () => number
  readonly log: Log
}

/** Opens what reads the frames of a source. */
export async function openRecordedReader(
  kind: SourceKind,
  markets: readonly Market[],
  parts: ReaderParts,
): Promise<RecordedReader> {
  // All of its markets follow from its frames, so that nobody need name them.
  if (kind.name === 'coinbase') return coinbaseReader(parts)
  const ways = await kind.load()
  const { push, tally, maxSkewMs, now, log } = parts
  // What was said about the recorded connection concerns nobody now, and nobody is asked anything.
  const refusals = new Refusals({ source: kind.name, note: () => undefined, now })
  // The reading waits for the pulling: there is always room.
  const take = (item: SourceItem): true => {
    push(item)
    return true
  }
  const { protocol } = ways({
    outlet: {
      ...{ emit: take, polled: take, note: take, send: () => undefined, complain: () => undefined },
      ...{ refusals, tally, maxSkewMs, now },
    },
    channels: kind.channels,
    books: { depth: USUAL_BOOK_DEPTH, snapshotEveryMs: USUAL.bookSnapshotEvery },
    exchanges: markets.map(({ exchange }) => exchange),
    // A snapshot of now is none of the recorded time: those that were recorded count.
    rest: undefined,
    ...{ timeoutMs: USUAL.timeout, pollEveryMs: USUAL.pollEvery, redact: String, log },
  })
  protocol.stop?.()
  protocol.add(markets)
  return protocolReader(protocol, parts)
}

function protocolReader(protocol: FeedProtocol, { tally }: ReaderParts): RecordedReader {
  return {
    add: (markets) => void protocol.add(markets),
    opened: () => void protocol.opened(),
    read(frame, ts) {
      const data = Buffer.from(frame)
      const meaning = protocol.read(data, ts)
      if (meaning === 'malformed' || meaning === 'mistimed') tally.leftOut(data, meaning)
    },
    answered: (url, body, ts) => protocol.answered?.(url, body, ts),
    elapse: (ts) => protocol.elapse?.(ts),
    closed: () => protocol.closed?.(),
    finish: () => protocol.closed?.(),
    forget: (market) => void protocol.remove([market]),
  }
}

function coinbaseReader({ push, wants, tally, maxSkewMs, now, log }: ReaderParts): RecordedReader {
  const exchange = 'coinbase'
  const take = (item: SourceItem): true => {
    push(item)
    return true
  }
  const known = new Set<string>()
  const books = new BookKeeper({
    ...{ depth: USUAL_BOOK_DEPTH, snapshotEveryMs: USUAL.bookSnapshotEvery, rules: BOOK_RULES },
    ...{ outlet: { emit: take, note: take, tally, maxSkewMs, now }, askAgain: () => undefined },
    ...{ rest: undefined, timeoutMs: USUAL.timeout, log },
  })
  const takeBook = (
    { symbol, fields }: Extract<CoinbaseFrame, { kind: 'book' }>,
    text: string,
    ts: number,
  ): void => {
    if (!known.has(symbol)) books.add(symbol, { exchange, symbol })
    known.add(symbol)
    if (books.take(readBook(symbol, fields), ts) === 'malformed')
      tally.leftOut(Buffer.from(text), 'malformed')
  }
  const sequences = new TradeSequences(push)
  const reader = new CoinbaseReader((symbol) => wants({ exchange, symbol }), tally, maxSkewMs)
  return {
    add: () => undefined,
    opened() {
      reader.opened()
      books.opened()
    },
    read(text, ts) {
      const frame = reader.read(text, ts)
      switch (frame.kind) {
        case 'trade':
          sequences.trade(frame.trade)
          break
        case 'quote':
          push({ channel: 'quote', event: frame.quote })
          break
        case 'heartbeat':
          if (frame.last) sequences.names(frame.last.market, frame.last.id, frame.last.ts, ts)
          break
        case 'malformed':
        case 'mistimed':
          if (frame.refused) sequences.refused(frame.refused.market, frame.refused.id)
          tally.leftOut(Buffer.from(text), frame.kind)
          break
        case 'book':
          takeBook(frame, text, ts)
          break
        // What was said about the recorded connection concerns nobody now.
        case 'subscriptions':
        case 'error':
        case 'nothing':
        case 'other':
          break
      }
    },
    // Its books come with the frames.
    answered: () => undefined,
    elapse(ts) {
      sequences.elapse(ts)
      books.elapse()
    },
    closed() {
      sequences.ended()
      books.closed()
    },
    finish() {
      sequences.finish()
      books.closed()
    },
    forget({ symbol }) {
      books.forget(symbol)
      known.delete(symbol)
      reader.forget(symbol)
      sequences.forget(symbol)
    },
  }
}
