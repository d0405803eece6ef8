import { z } from 'zod'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import type { RecordHeaders } from '../../domain/record.ts'
import { TradeWindow, WINDOW_VERSION, type WindowSnapshot } from '../../domain/trade-window.ts'
import { TapelineError } from '../../errors.ts'
import type { OutgoingRecord, StoredRecord } from '../../ports/broker.ts'
import type { Shard } from './shard.ts'

const CHECKPOINT_VERSION = 1
const CHECKPOINT_KEY = 'checkpoint'
const MARKET_PREFIX = 'market:'

const positionsSchema = z.partialRecord(z.enum(CHANNELS), z.number().int())

const passedOverSchema = z.object({
  /** When it was last derived, in milliseconds since the epoch. */
  at: z.number(),
  /** Per channel: everything before is derived into it; nothing of a channel that is left out. */
  positions: positionsSchema,
})

/** How far a stream is that its shard's owner did not understand, for one who does (R23). */
export type PassedOver = z.infer<typeof passedOverSchema>

const checkpointSchema = z.object({
  v: z.literal(CHECKPOINT_VERSION),
  /** When, in milliseconds since the epoch; 0 where there was none. */
  at: z.number(),
  /** Streams that got ready before this offset of the registry are covered. */
  registryOffset: z.number().int(),
  /** Per channel: everything before is derived into every covered stream that is not in `behind`. */
  positions: positionsSchema,
  /** Per channel: the highest epoch before the position; records of a lower one behind it count for nobody. */
  epochs: z.partialRecord(z.enum(CHANNELS), z.number().int()),
  /** Per stream: everything before is derived into it. */
  behind: z.record(z.string(), z.number().int()),
  /** Per stream that the owner did not understand; left out where there is none. */
  passedOver: z.record(z.string(), passedOverSchema).optional(),
})

/** How far a shard is derived (R4); written about once a second, together with the ids of R5. */
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

const entry = (key: string, value: object | null): OutgoingRecord => ({
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
  return {
    v: CHECKPOINT_VERSION,
    registryOffset,
    positions: positions as Record<Channel, number>,
    epochs: epochs as Record<Channel, number>,
    behind: { ...behind },
    ...(passedOver && { passedOver }),
  }
}

/** The records of one checkpoint of a shard, as they stand now: its positions, and the ids of the markets that changed. */
export function checkpointRecords(
  shard: Shard,
  now: number,
  registryOffset: number,
  left: StreamsLeft,
): OutgoingRecord[] {
  const checkpoint: Checkpoint = { ...checkpointState(shard, registryOffset, left), at: now }
  const windows = [...shard.changed].map((market) => {
    const snapshot: WindowSnapshot | undefined = shard.windows.get(market)?.snapshot()
    return entry(`${MARKET_PREFIX}${market}`, snapshot ?? null)
  })
  return [...windows, entry(CHECKPOINT_KEY, checkpoint)]
}

/** The last checkpoint and windows of a shard, folded from the records of its partition. */
export class CheckpointReader {
  checkpoint: Checkpoint = NO_CHECKPOINT
  readonly windows = new Map<string, TradeWindow>()
  /** The keys whose last record is of another version or shape: the shard is not for this process (R23). */
  readonly unreadable = new Map<string, unknown>()

  /** Takes a record in. */
  take(record: StoredRecord): void {
    if (record.key === null) return
    this.unreadable.delete(record.key)
    if (record.value === null) {
      this.windows.delete(record.key.slice(MARKET_PREFIX.length))
      return
    }
    try {
      this.#take(record.key, JSON.parse(decoder.decode(record.value)))
    } catch (error) {
      this.unreadable.set(record.key, error)
    }
  }

  #take(key: string, body: unknown): void {
    if (key === CHECKPOINT_KEY) this.checkpoint = checkpointSchema.parse(body)
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
