import { doubled } from '../../../async/back-off.ts'
import { startInterval, type Timer } from '../../../async/timers.ts'
import { type BookLevels, inDoubt } from '../../../domain/book-levels.ts'
import type { Book, BookDoubt } from '../../../domain/events.ts'
import { TapelineError } from '../../../errors.ts'
import type { Log } from '../../../ports/log.ts'
import type { Market, SourceItem } from '../../../ports/source.ts'
import { BookSnapshots } from './book-snapshots.ts'
import type { BookRules, WireBook, WireChecksum } from './book-wire.ts'
import { isPlausible } from './event-time.ts'
import type { Outlet } from './feed-protocol.ts'
import { type BookStep, KeptBook } from './kept-book.ts'
import { parseJson } from './text.ts'

/** How often it looks for what is due. */
const LOOK_MS = 250
/** A market whose book has been asked for has so long to send a snapshot. */
const ANSWER_MS = 10_000
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 60_000
/** What waits for a second call of REST: the first was too early. */
const REST_AGAIN_MS = 1_000
const WARN_EVERY_MS = 60_000

export interface BookSettings {
  /** How many levels of each side are shown. */
  readonly depth: number
  /** From one snapshot of a market to the next, in milliseconds. */
  readonly snapshotEveryMs: number
}

interface BookKeeperOptions extends BookSettings {
  readonly rules: BookRules
  /** Its time is the only one: in a recording that of the frames. */
  readonly outlet: Pick<Outlet, 'emit' | 'note' | 'answered' | 'tally' | 'maxSkewMs' | 'now'>
  /** Asks for the book of a market again, so that a snapshot comes. */
  readonly askAgain: (name: string) => void
  /** Where REST is. */
  readonly rest: URL | undefined
  readonly timeoutMs: number
  readonly log: Log
}

interface MarketBook {
  readonly market: Market
  readonly name: string
  readonly kept: KeptBook
  /** The number of the last record. */
  seq: number
  /** Whether readers have a book: they have to hear of a doubt. */
  isTold: boolean
  /** A record found no room: readers get a snapshot, or the doubt, in its place. */
  owes: BookDoubt | 'snapshot' | undefined
  /** Since when it is right, when its last record was a snapshot, and when the book is asked for again if none comes: milliseconds. */
  rightSince: number
  askedAt: number
  snapshotAt: number
  askAt: number
  /** How often in a row it was asked for. */
  attempts: number
  /** From when on REST may be asked; undefined while nothing waits for it. */
  restAt: number | undefined
  isAsking: boolean
}

/**
 * The books of a source. Each is kept under the rules of its exchange; what comes out is the same for all: a snapshot, what changes of the levels that
 * are shown, and each doubt at its place. A book in doubt is asked for anew. It is long, and one file: when a book is asked for follows from what
 * readers have of it.
 */
export class BookKeeper {
  readonly #options: BookKeeperOptions
  readonly #snapshots: BookSnapshots | undefined
  readonly #books = new Map<string, MarketBook>()
  #timer: Timer | undefined
  #stop = new AbortController()
  #warnedAt = Number.NEGATIVE_INFINITY
  #doubts = 0
  #lookedAt = Number.NEGATIVE_INFINITY

  constructor(options: BookKeeperOptions) {
    this.#options = options
    const { rules, rest: address, timeoutMs, depth, outlet } = options
    if (rules.rest && address) {
      const apartMs = rules.rest.apartMs(depth)
      this.#snapshots = new BookSnapshots({ address, timeoutMs, apartMs, heard: outlet.answered })
    }
  }

  /** Milliseconds. */
  get #now(): number {
    return this.#options.outlet.now() / 1_000
  }

  add(name: string, market: Market): void {
    const { rules, depth } = this.#options
    const kept = new KeptBook(rules, depth)
    this.#books.set(name, {
      ...{ market, name, kept, seq: 0, isTold: false, owes: undefined, rightSince: 0, snapshotAt: 0 },
      askedAt: this.#now,
      ...{ askAt: this.#now + ANSWER_MS, attempts: 0, restAt: undefined, isAsking: false },
    })
  }

  /** How many books readers have, and how many nobody may use. */
  get states(): { readonly valid: number; readonly doubt: number } {
    const valid = [...this.#books.values()].filter(({ isTold }) => isTold).length
    return { valid, doubt: this.#books.size - valid }
  }

  /** The market is asked for no more. */
  forget(name: string): void {
    const book = this.#books.get(name)
    if (book) this.#lose(book)
    this.#books.delete(name)
  }

  /** A new connection, on which the books of all markets are asked for. */
  opened(): void {
    this.closed()
    this.#stop = new AbortController()
    for (const book of this.#books.values()) book.askAt = this.#now + ANSWER_MS
    this.#timer = startInterval(() => this.elapse(), LOOK_MS).unref()
  }

  /** The connection has ended: whatever changes now is not seen. */
  closed(): void {
    this.#timer?.stop()
    this.#timer = undefined
    this.#stop.abort()
    for (const book of this.#books.values()) this.#lose(book)
  }

  /** Does what is due, where it has not looked for that just now. */
  elapse(): void {
    if (this.#now - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = this.#now
    this.#look()
  }

  /** Takes a frame in. `recvTs`: microseconds. */
  take(frame: WireBook, recvTs: number): 'delivers' | 'malformed' {
    if (typeof frame.name !== 'string') return 'malformed'
    const book = this.#books.get(frame.name)
    const isReadable = frame.bids !== undefined && frame.asks !== undefined
    if (book === undefined) return isReadable ? 'delivers' : 'malformed'
    const { maxSkewMs } = this.#options.outlet
    // Some exchanges tell a time now and then that cannot be: the change counts all the same.
    const ts = frame.ts !== undefined && isPlausible(frame.ts, recvTs, maxSkewMs) ? frame.ts : undefined
    const timed = ts === frame.ts ? frame : { ...frame, ts }
    this.#settle(book, book.kept.take(timed), ts ?? recvTs, recvTs, this.#options.outlet.emit)
    return isReadable ? 'delivers' : 'malformed'
  }

  /** Takes an answer by REST in that was recorded. */
  answered(address: string, body: string, recvTs: number): void {
    const { rest } = this.#options.rules
    if (rest === undefined || !URL.canParse(address)) return
    const { pathname, searchParams } = new URL(address)
    const book = this.#books.get(searchParams.get(rest.parameter) ?? '')
    if (book === undefined || book.kept.isValid) return
    const [path = ''] = rest.path(book.name, this.#options.depth).split('?')
    if (pathname.endsWith(path)) this.#takeRest(book, rest.read(book.name, parseJson(body)), recvTs)
  }

  check({ name, checksum }: WireChecksum, recvTs: number): void {
    const book = this.#books.get(name)
    if (book) this.#settle(book, book.kept.check(checksum), recvTs, recvTs, this.#options.outlet.emit)
  }

  #settle(book: MarketBook, step: BookStep, ts: number, recvTs: number, emit: Outlet['emit']): void {
    switch (step.kind) {
      case 'snapshot':
        book.askAt = Number.POSITIVE_INFINITY
        book.restAt = undefined
        if (!book.isTold) book.rightSince = this.#now
        this.#tell(book, this.#snapshotOf(book, ts, recvTs), emit)
        break
      case 'change':
        if (book.owes) this.#tell(book, this.#snapshotOf(book, ts, recvTs), emit)
        else this.#tell(book, { ...this.#next(book, ts, recvTs), snapshot: false, ...step.change }, emit)
        break
      case 'doubt':
        this.#doubt(book, step.doubt, recvTs, emit)
        break
      case 'waits':
        book.restAt ??= this.#now + (this.#options.rules.rest?.afterMs ?? 0)
        this.#askRest(book)
        break
      case 'repeated':
        this.#options.outlet.tally.counters.duplicates++
    }
  }

  #next({ market, seq }: MarketBook, ts: number, recvTs: number) {
    const { exchange, symbol } = market
    return { exchange, symbol, seq: seq + 1, ts, recvTs }
  }

  #snapshotOf(book: MarketBook, ts: number, recvTs: number): Book {
    return { ...this.#next(book, ts, recvTs), snapshot: true, ...(book.kept.shown satisfies BookLevels) }
  }

  /** Readers get a record, or later one in its place. */
  #tell(book: MarketBook, event: Book, emit: (item: SourceItem) => boolean): void {
    if (!emit({ channel: 'book', event })) {
      book.owes = event.doubt ?? 'snapshot'
      return
    }
    const { counters } = this.#options.outlet.tally
    if (event.doubt !== undefined) counters.bookDoubts++
    else if (!book.isTold && book.seq > 0) counters.bookResyncs++
    book.seq = event.seq
    book.isTold = event.doubt === undefined
    book.owes = undefined
    if (event.snapshot) book.snapshotAt = this.#now
  }

  #doubt(book: MarketBook, doubt: BookDoubt, recvTs: number, emit: (item: SourceItem) => boolean): void {
    if (book.isTold || book.owes) this.#tell(book, inDoubt(this.#next(book, recvTs, recvTs), doubt), emit)
    this.#warn(book, doubt)
    const now = this.#now
    if (now - book.rightSince > LONGEST_WAIT_MS) book.attempts = 0
    book.restAt = book.attempts === 0 ? undefined : now + waitOf(book.attempts)
    if (book.attempts === 0) this.#askAgain(book)
    else book.askAt = now + waitOf(book.attempts)
  }

  #askAgain(book: MarketBook): void {
    book.attempts++
    book.askedAt = this.#now
    book.askAt = this.#now + Math.max(ANSWER_MS, waitOf(book.attempts))
    // Updates go on to come, and a snapshot by REST bridges to them.
    if (this.#options.rules.rest?.afterMs !== 0) this.#options.askAgain(book.name)
  }

  /** Nobody sees any more how the book changes. */
  #lose(book: MarketBook): void {
    const now = this.#options.outlet.now()
    book.kept.invalidate()
    book.restAt = undefined
    if (book.isTold || book.owes)
      this.#tell(book, inDoubt(this.#next(book, now, now), 'disconnected'), this.#options.outlet.note)
  }

  #look(): void {
    const micros = this.#options.outlet.now()
    const now = micros / 1_000
    const { snapshotEveryMs, outlet } = this.#options
    for (const book of this.#books.values()) {
      const { kept, owes } = book
      if (kept.isValid && (owes || now - book.snapshotAt >= snapshotEveryMs))
        this.#tell(book, this.#snapshotOf(book, micros, micros), outlet.note)
      else if (owes && owes !== 'snapshot')
        this.#tell(book, inDoubt(this.#next(book, micros, micros), owes), outlet.note)
      const { refreshMs = Number.POSITIVE_INFINITY } = this.#options.rules
      if (kept.isValid && now - book.askedAt < refreshMs) continue
      if (kept.isValid) {
        this.#askAgain(book)
        continue
      }
      this.#askRest(book)
      if (now >= book.askAt) this.#askAgain(book)
    }
  }

  #askRest(book: MarketBook): void {
    const { rest } = this.#options.rules
    if (
      rest === undefined ||
      this.#snapshots === undefined ||
      book.isAsking ||
      (book.restAt ?? Number.POSITIVE_INFINITY) > this.#now
    )
      return
    book.isAsking = true
    void this.#fetch(book, rest.path(book.name, this.#options.depth), this.#stop.signal)
  }

  async #fetch(book: MarketBook, path: string, signal: AbortSignal): Promise<void> {
    try {
      const body = await this.#snapshots?.get(path, signal)
      const now = this.#options.outlet.now()
      if (signal.aborted || book.kept.isValid || !book.kept.isWaiting) return
      const frame = this.#options.rules.rest?.read(book.name, body)
      if (frame === undefined) return
      this.#takeRest(book, frame, now)
    } catch (error) {
      if (signal.aborted) return
      book.restAt = this.#now + waitOf(++book.attempts)
      const reason = error instanceof Error ? error.message : String(error)
      this.#options.log.warn({ market: book.name, reason }, 'the snapshot of a book did not come')
    } finally {
      book.isAsking = false
    }
  }

  #takeRest(book: MarketBook, frame: WireBook, recvTs: number): void {
    const step = book.kept.takeRest(frame)
    book.restAt = this.#now + REST_AGAIN_MS
    if (step.kind !== 'waits') this.#settle(book, step, frame.ts ?? recvTs, recvTs, this.#options.outlet.emit)
  }

  #warn({ market }: MarketBook, doubt: BookDoubt): void {
    this.#doubts++
    const now = this.#now
    if (now - this.#warnedAt < WARN_EVERY_MS) return
    this.#warnedAt = now
    const { code } = new TapelineError('BOOK_IN_DOUBT', doubt)
    const { exchange, symbol } = market
    this.#options.log.warn(
      { code, exchange, symbol, doubt, doubts: this.#doubts },
      'a book is in doubt and is asked for anew; further ones are counted and shown once a minute',
    )
  }
}

function waitOf(attempts: number): number {
  return doubled(FIRST_WAIT_MS, LONGEST_WAIT_MS, attempts - 1)
}
