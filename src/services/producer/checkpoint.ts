import { z } from 'zod'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import type { RecordHeaders } from '../../domain/record.ts'
import { TradeWindow, WINDOW_VERSION, type WindowSnapshot } from '../../domain/trade-window.ts'
import { TapelineError } from '../../errors.ts'
import type { OutgoingRecord, StoredRecord } from '../../ports/broker.ts'
import { portionsOf } from './portions.ts'
import { SavedWindowsReader } from './saved-windows.ts'
import type { Shard } from './shard.ts'

const CHECKPOINT_VERSION = 1
/** A checkpoint in several records. A reader of the first record alone would take streams for level that are behind. */
const VERSION_OF_SEVERAL = 2
const CHECKPOINT_KEY = 'checkpoint'
const FURTHER_PREFIX = 'checkpoint:'
const MARKET_PREFIX = 'market:'

const positionsSchema = z.partialRecord(z.enum(CHANNELS), z.number().int())

const passedOverSchema = z.object({
  /** When an owner last derived it, in milliseconds since the epoch. */
  at: z.number(),
  /** Per channel: everything before is derived into it; nothing of a channel that is left out. */
  positions: positionsSchema,
})

/**
 * How far a stream is that the shard's owner passed over: it did not understand the stream (R23), or did not get to know what the topic holds.
 * The next owner goes on from here.
 */
export type PassedOver = z.infer<typeof passedOverSchema>

const logSchema = z.object({
  /** Identity of the topic. */
  id: z.string(),
  /** Streams that got ready before this offset of the registry have starts in a former topic of the name. */
  since: z.number().int(),
  /**
   * Where owners begin, while streams are behind: epoch and offset, both rising. The topic of such a stream may hold records at or after the begin of a
   * later owner: they are of a log that is gone. Left out where no stream is behind, and by versions that did not know.
   */
  owners: z.array(z.tuple([z.number().int(), z.number().int()])).optional(),
  /** Where the markers lie of those among them that begin before: a former ownership wrote what is in between. Epoch and offset. */
  markers: z.array(z.tuple([z.number().int(), z.number().int()])).optional(),
  /**
   * Ends that the log has lost, while a stream may not be beyond them: `from` the first lost offset, `to` behind all that may have been there. A stream that got
   * ready before that offset of the registry may have its start in there. Left out where there are none, and by versions that did not know.
   */
  lostEnds: z
    .array(
      z.object({ from: z.number().int(), to: z.number().int(), registryOffset: z.number().int() }).readonly(),
    )
    .readonly()
    .optional(),
})

/** A fixed topic among all that ever had its name. */
export type FixedLog = z.infer<typeof logSchema>

const behindSchema = z.record(z.string(), z.number().int())
const passedOverStreams = z.record(z.string(), passedOverSchema)

const checkpointSchema = z.object({
  v: z.literal([CHECKPOINT_VERSION, VERSION_OF_SEVERAL]),
  /** When, in milliseconds since the epoch; 0 where there was none. */
  at: z.number(),
  /** Streams that got ready before this offset of the registry are covered. */
  registryOffset: z.number().int(),
  /** Per channel: everything before is derived into every covered stream that is not in `behind`. */
  positions: positionsSchema,
  /** Per channel: the highest epoch before the position; records of a lower one after it count for nobody. */
  epochs: z.partialRecord(z.enum(CHANNELS), z.number().int()),
  /** The topic of each position, by channel. Earlier versions leave it out. */
  logs: z.partialRecord(z.enum(CHANNELS), logSchema).optional(),
  /** Since when the shard has had an owner, by the broker's clock, in microseconds; left out where nobody knows. */
  ownedSince: z.number().optional(),
  /** Trades of up to this event time, in microseconds, may have been published without a trace (R5); left out where there are none. */
  unknownTo: z.number().optional(),
  /** Per stream: everything before is derived into it. */
  behind: behindSchema,
  /** The streams that the owner passed over; left out where there are none. */
  passedOver: passedOverStreams.optional(),
  /** How many further records hold the rest of the streams; left out where there is none. */
  parts: z.number().int().optional(),
})

/** More streams of a checkpoint than its first record takes. */
const furtherSchema = z.object({
  v: z.literal(VERSION_OF_SEVERAL),
  behind: behindSchema,
  passedOver: passedOverStreams.optional(),
})

/** How far a shard is derived (R4). The owner writes it every few seconds, together with the ids of R5. */
export type Checkpoint = z.infer<typeof checkpointSchema>

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

const HEADERS: RecordHeaders = { v: CHECKPOINT_VERSION, kind: 'control' }
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const checkpointEntry = (key: string, value: object | null): OutgoingRecord => ({
  key,
  value: value && encoder.encode(JSON.stringify(value)),
  headers: HEADERS,
})

/** The streams for which the positions of a checkpoint do not hold. */
type StreamsLeft = Pick<Checkpoint, 'behind' | 'passedOver'>

/** What a checkpoint says, apart from when. */
export function checkpointState(
  shard: Shard,
  registryOffset: number,
  { behind, passedOver }: StreamsLeft,
): Omit<Checkpoint, 'at'> {
  const positions = Object.fromEntries(CHANNELS.map((channel) => [channel, shard.tails[channel].derivedTo]))
  const epochs = Object.fromEntries(CHANNELS.map((channel) => [channel, shard.epochBefore(channel)]))
  const ownedSince = shard.ownedSince(false)
  return {
    v: CHECKPOINT_VERSION,
    registryOffset,
    positions: positions as Record<Channel, number>,
    epochs: epochs as Record<Channel, number>,
    logs: logsOf(shard, Object.keys(behind).length > 0),
    behind: { ...behind },
    ...(ownedSince >= 0 && { ownedSince }),
    ...(shard.unknownTo >= 0 && { unknownTo: shard.unknownTo }),
    ...(passedOver && { passedOver }),
  }
}

function logsOf(shard: Shard, isAnyBehind: boolean): Record<Channel, FixedLog> {
  const logs = CHANNELS.map((channel) => {
    const { id, since, lostEnds: ends = [] } = shard.logs[channel]
    const lostEnds = ends.filter(({ to }) => isAnyBehind || to > shard.tails[channel].derivedTo)
    const log = { id, since, ...(lostEnds.length > 0 && { lostEnds }) }
    if (!isAnyBehind) return [channel, log]
    const markers = shard.markersOf(channel)
    const owners = shard.ownersOf(channel)
    return [channel, { ...log, owners, ...(markers.length > 0 && { markers }) }]
  })
  return Object.fromEntries(logs) as Record<Channel, FixedLog>
}

/** The records of one checkpoint of a shard, as they stand now: its positions, and the ids of the markets that changed. */
export function checkpointRecords(
  shard: Shard,
  now: number,
  registryOffset: number,
  left: StreamsLeft,
  formerFurther: number,
): { readonly records: OutgoingRecord[]; readonly further: number } {
  const { behind, passedOver, ...positions } = checkpointState(shard, registryOffset, left)
  const windows = [...shard.changed].map((market) => {
    const snapshot: WindowSnapshot | undefined = shard.windows.get(market)?.snapshot()
    return checkpointEntry(`${MARKET_PREFIX}${market}`, snapshot ?? null)
  })
  const [first, ...others] = splitStreams({ behind, passedOver })
  const inSeveral = others.length > 0 && ({ v: VERSION_OF_SEVERAL, parts: others.length } as const)
  const main: Checkpoint = { ...positions, at: now, behind: {}, ...first, ...inSeveral }
  const further = others.map((streams, i) =>
    checkpointEntry(furtherKey(i + 1), { v: VERSION_OF_SEVERAL, ...streams }),
  )
  const gone = Array.from({ length: Math.max(0, formerFurther - others.length) }, (_, i) =>
    checkpointEntry(furtherKey(others.length + i + 1), null),
  )
  return {
    records: [...windows, ...further, ...gone, checkpointEntry(CHECKPOINT_KEY, main)],
    further: others.length,
  }
}

const furtherKey = (number: number): string => `${FURTHER_PREFIX}${number}`

/** The streams of a checkpoint, split so that each portion fits into a record; at least one. */
function splitStreams({ behind, passedOver = {} }: StreamsLeft): StreamsLeft[] {
  const streams = [
    ...Object.entries(behind).map(([id, offset]) => ({ id, offset })),
    ...Object.entries(passedOver).map(([id, passed]) => ({ id, passed })),
  ]
  return portionsOf(streams).map((portion) => {
    const ofBehind = portion.flatMap((each) => ('offset' in each ? [[each.id, each.offset] as const] : []))
    const ofPassed = portion.flatMap((each) => ('passed' in each ? [[each.id, each.passed] as const] : []))
    return {
      behind: Object.fromEntries(ofBehind),
      ...(ofPassed.length > 0 && { passedOver: Object.fromEntries(ofPassed) }),
    }
  })
}

/** The last checkpoint and windows of a shard, folded from the records of its partition. */
export class CheckpointReader {
  #checkpoint: Checkpoint = NO_CHECKPOINT
  readonly #further = new Map<string, StreamsLeft>()
  readonly windows = new Map<string, TradeWindow>()
  readonly #streamWindows = new SavedWindowsReader()
  readonly #unreadable = new Map<string, string>()
  /** Up to when, in milliseconds, trades may be missing in the windows: a batch that nobody can read had them. */
  #unknownTo: number | undefined

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
  take({ key, value }: Pick<StoredRecord, 'key' | 'value'>): void {
    if (key === null) return
    this.#unreadable.delete(key)
    if (value === null) this.#remove(key)
    else {
      const text = decoder.decode(value)
      try {
        this.#take(key, JSON.parse(text))
      } catch (error) {
        this.#unreadable.set(key, reasonOf(error, text))
      }
    }
  }

  #remove(key: string): void {
    if (key.startsWith(MARKET_PREFIX)) this.windows.delete(key.slice(MARKET_PREFIX.length))
    else if (!this.#streamWindows.take(key, null)) this.#further.delete(key)
  }

  #take(key: string, body: unknown): void {
    if (this.#streamWindows.take(key, body)) return
    if (key === CHECKPOINT_KEY) {
      this.#checkpoint = checkpointSchema.parse(body)
      // What was published after it is in later windows, or is read from the fixed topic.
      if (this.#unknownTo === Number.POSITIVE_INFINITY) this.#unknownTo = this.#checkpoint.at
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
