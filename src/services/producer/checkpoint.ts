import { z } from 'zod'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import type { RecordHeaders } from '../../domain/record.ts'
import { TradeWindow, type WindowSnapshot } from '../../domain/trade-window.ts'
import type { OutgoingRecord, StoredRecord } from '../../ports/broker.ts'
import type { Shard } from './shard.ts'

const CHECKPOINT_VERSION = 1
const CHECKPOINT_KEY = 'checkpoint'
const MARKET_PREFIX = 'market:'

const checkpointSchema = z.object({
  v: z.literal(CHECKPOINT_VERSION),
  /** When, in milliseconds since the epoch; 0 where there was none. */
  at: z.number(),
  /** Streams that got ready before this offset of the registry are covered. */
  registryOffset: z.number().int(),
  /** Per channel: everything before is derived into every covered stream that is not in `behind`. */
  positions: z.partialRecord(z.enum(CHANNELS), z.number().int()),
  /** Per channel: the highest epoch before the position; records of a lower one behind it count for nobody. */
  epochs: z.partialRecord(z.enum(CHANNELS), z.number().int()),
  /** Per stream: everything before is derived into it. */
  behind: z.record(z.string(), z.number().int()),
  /** When the shard had its first owner, in milliseconds since the epoch by the broker; 0 where that is not known. */
  begunAt: z.number().default(0),
})

/** How far a shard is derived (R4); written about once a second, together with the ids of R5. */
export type Checkpoint = z.infer<typeof checkpointSchema>

const windowSchema = z.object({
  ids: z.array(z.string()),
  times: z.array(z.number()),
  forgottenTs: z.number(),
  lastTs: z.number(),
})

/** What there is before the first checkpoint. */
const NO_CHECKPOINT: Checkpoint = {
  v: CHECKPOINT_VERSION,
  at: 0,
  registryOffset: 0,
  positions: {},
  epochs: {},
  behind: {},
  begunAt: 0,
}

const HEADERS: RecordHeaders = { v: CHECKPOINT_VERSION, kind: 'control' }
const encoder = new TextEncoder()
const decoder = new TextDecoder()

const entry = (key: string, value: object): OutgoingRecord => ({
  key,
  value: encoder.encode(JSON.stringify(value)),
  headers: HEADERS,
})

/** What a checkpoint says, apart from when. */
export function checkpointState(
  shard: Shard,
  registryOffset: number,
  behind: Readonly<Record<string, number>>,
): Omit<Checkpoint, 'at'> {
  const positions = Object.fromEntries(CHANNELS.map((channel) => [channel, shard.tails[channel].derivedTo]))
  const epochs = Object.fromEntries(CHANNELS.map((channel) => [channel, shard.epochBefore(channel)]))
  return {
    v: CHECKPOINT_VERSION,
    registryOffset,
    positions: positions as Record<Channel, number>,
    epochs: epochs as Record<Channel, number>,
    behind: { ...behind },
    begunAt: shard.begunAt,
  }
}

/** The records of one checkpoint of a shard, as they stand now: its positions, and the ids of the markets that changed. */
export function checkpointRecords(
  shard: Shard,
  now: number,
  registryOffset: number,
  behind: Readonly<Record<string, number>>,
): OutgoingRecord[] {
  const checkpoint: Checkpoint = { ...checkpointState(shard, registryOffset, behind), at: now }
  const windows = [...shard.changed].map((market) =>
    entry(`${MARKET_PREFIX}${market}`, shard.window(market).snapshot() satisfies WindowSnapshot),
  )
  return [...windows, entry(CHECKPOINT_KEY, checkpoint)]
}

/** The last checkpoint and windows of a shard, folded from the records of its partition. */
export class CheckpointReader {
  checkpoint: Checkpoint = NO_CHECKPOINT
  readonly windows = new Map<string, TradeWindow>()

  /** Takes a record in. Raises a ZodError or SyntaxError where it is of another version or shape. */
  take(record: StoredRecord): void {
    if (record.key === null || record.value === null) return
    const body: unknown = JSON.parse(decoder.decode(record.value))
    if (record.key === CHECKPOINT_KEY) this.checkpoint = checkpointSchema.parse(body)
    else if (record.key.startsWith(MARKET_PREFIX)) {
      this.windows.set(record.key.slice(MARKET_PREFIX.length), TradeWindow.restore(windowSchema.parse(body)))
    }
  }
}
