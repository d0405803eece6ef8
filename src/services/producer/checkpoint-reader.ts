import { z } from 'zod'
import { TradeWindow, WINDOW_VERSION } from '../../domain/trade-window.ts'
import { TapelineError } from '../../errors.ts'
import type { StoredRecord } from '../../ports/broker.ts'
import {
  CHECKPOINT_KEY,
  CHECKPOINT_VERSION,
  type Checkpoint,
  checkpointSchema,
  FURTHER_PREFIX,
  furtherKey,
  furtherSchema,
  MARKET_PREFIX,
  type StreamsLeft,
  VERSION_OF_SEVERAL,
} from './checkpoint.ts'
import { SavedWindowsReader } from './saved-windows.ts'

const intervals = z.array(z.tuple([z.number(), z.number()]))

const windowSchema = z.object({
  v: z.number().int().default(1),
  ids: z.array(z.string()),
  times: z.array(z.number()),
  prices: z.array(z.number()).optional(),
  sizes: z.array(z.number()).optional(),
  forgottenTs: z.number(),
  lastTs: z.number(),
  lastId: z.string().optional(),
  highest: z.string().optional(),
  forgotten: z.object({ ids: intervals, times: intervals }).optional(),
})

/** What there is before the first checkpoint. */
const NO_CHECKPOINT: Checkpoint = {
  v: CHECKPOINT_VERSION,
  at: 0,
  registryOffset: 0,
  positions: {},
  epochs: {},
  behind: {},
}

const decoder = new TextDecoder()

/** The last checkpoint and windows of a shard, folded from the records of its partition. */
export class CheckpointReader {
  /** The offset behind all that it was given. */
  readonly end: number
  #checkpoint: Checkpoint = NO_CHECKPOINT
  readonly #further = new Map<string, StreamsLeft>()
  readonly windows = new Map<string, TradeWindow>()
  readonly #streamWindows = new SavedWindowsReader()
  readonly #unreadable = new Map<string, string>()
  /** Up to when, in milliseconds, trades may be missing in the windows: a batch that nobody can read had them, or an end that was lost. */
  #unknownTo: number | undefined

  /** `end`: of the partition, when it is read. */
  constructor(end = 0) {
    this.end = end
  }

  /** Takes note of a batch that nobody can read: which markets it had is not known. */
  lose(): void {
    this.#unknownTo = Number.POSITIVE_INFINITY
  }

  /** Up to when, in milliseconds, trades may be missing in the windows; undefined where none are. Positive infinity: up to now. */
  get unknownTo(): number | undefined {
    return this.#unknownTo
  }

  /** The last checkpoint, with all its streams. */
  get checkpoint(): Checkpoint {
    const { parts: count = 0 } = this.#checkpoint
    if (count === 0) return this.#checkpoint
    const whole = { ...this.#checkpoint, behind: { ...this.#checkpoint.behind } }
    const passedOver = { ...this.#checkpoint.passedOver }
    for (let number = 1; number <= count; number++) {
      const portion = this.#further.get(furtherKey(number))
      Object.assign(whole.behind, portion?.behind)
      Object.assign(passedOver, portion?.passedOver)
    }
    return Object.keys(passedOver).length === 0 ? whole : { ...whole, passedOver }
  }

  /** The windows of streams, by stream. */
  get streamWindows(): SavedWindowsReader['windows'] {
    return this.#streamWindows.windows
  }

  /** The keys whose last record this process does not understand, or that are missing, and why: the shard is not for it (R23). */
  get unreadable(): ReadonlyMap<string, string> {
    const found = new Map(this.#unreadable)
    for (let number = 1; number <= (this.#checkpoint.parts ?? 0); number++) {
      const key = furtherKey(number)
      if (!this.#further.has(key) && !found.has(key)) found.set(key, 'it is not there')
    }
    return found
  }

  /** Takes a record in. */
  take({ key, value, offset }: Pick<StoredRecord, 'key' | 'value' | 'offset'>): void {
    if (key === null) return
    this.#unreadable.delete(key)
    if (value === null) this.#remove(key)
    else {
      const text = decoder.decode(value)
      try {
        this.#take(key, JSON.parse(text), offset)
      } catch (error) {
        this.#unreadable.set(key, reasonOf(error, text))
      }
    }
  }

  #remove(key: string): void {
    if (key.startsWith(MARKET_PREFIX)) this.windows.delete(key.slice(MARKET_PREFIX.length))
    else if (!this.#streamWindows.take(key, null)) this.#further.delete(key)
  }

  #take(key: string, body: unknown, offset: number): void {
    if (this.#streamWindows.take(key, body)) return
    if (key === CHECKPOINT_KEY) {
      this.#checkpoint = checkpointSchema.parse(body)
      // What was published after it is in later windows, or is read from the fixed topic.
      const { at, lowest = offset } = this.#checkpoint
      if (this.#unknownTo === Number.POSITIVE_INFINITY || offset < lowest) this.#unknownTo = at
    } else if (key.startsWith(FURTHER_PREFIX)) this.#further.set(key, furtherSchema.parse(body))
    else if (key.startsWith(MARKET_PREFIX)) {
      const window = windowSchema.parse(body)
      const market = key.slice(MARKET_PREFIX.length)
      if (window.v > WINDOW_VERSION) {
        const what = `the ids of ${market} are kept in version ${window.v} of their form`
        throw new TapelineError('UPGRADE_NEEDED', `${what}; this process knows up to ${WINDOW_VERSION}`)
      }
      this.windows.set(market, TradeWindow.restore(window))
    }
  }
}

/** Why this process does not understand a record: its version if that is higher, else its shape. */
function reasonOf(error: unknown, text: string): string {
  if (error instanceof TapelineError) return error.message
  const [, version] = /"v":(\d+)/.exec(text) ?? []
  return version !== undefined && Number(version) > VERSION_OF_SEVERAL
    ? `it is of version ${version}, and this process knows up to ${VERSION_OF_SEVERAL}`
    : 'it is of another shape'
}
