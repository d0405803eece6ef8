import { z } from 'zod'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import type { RecordHeaders } from '../../domain/record.ts'
import type { WindowSnapshot } from '../../domain/trade-window.ts'
import type { OutgoingRecord } from '../../ports/broker.ts'
import { portionsOf } from './portions.ts'
import type { Shard } from './shard.ts'

export const CHECKPOINT_VERSION = 1
/** A checkpoint in several records. A reader of the first record alone would take streams for level that are behind. */
export const VERSION_OF_SEVERAL = 2
export const CHECKPOINT_KEY = 'checkpoint'
export const FURTHER_PREFIX = 'checkpoint:'
export const MARKET_PREFIX = 'market:'

const positionsSchema = z.partialRecord(z.enum(CHANNELS), z.number().int())

const passedOverSchema = z.object({
  /** When an owner last derived it, in milliseconds since the epoch. */
  at: z.number(),
  /** Per channel: everything before is derived into it; nothing of a channel that is left out. */
  positions: positionsSchema,
  /** Where the stream's topic went on that has lost its end, while its readers have not been told; left out where it has not. */
  lostFrom: z.number().int().optional(),
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
   * Ends that the log has lost, while a stream may not be beyond them: `from` the first lost offset, `to` after all that may have been there. A stream that got
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

export const checkpointSchema = z.object({
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
  /**
   * No lower offset can this record have. Where it has one, the topic has lost its end before: windows may be missing. Left out by versions that did not
   * know.
   */
  lowest: z.number().int().optional(),
})

/** More streams of a checkpoint than its first record takes. */
export const furtherSchema = z.object({
  v: z.literal(VERSION_OF_SEVERAL),
  behind: behindSchema,
  passedOver: passedOverStreams.optional(),
})

/** How far a shard is derived (R4). The owner writes it every few seconds, together with the ids of R5. */
export type Checkpoint = z.infer<typeof checkpointSchema>

const HEADERS: RecordHeaders = { v: CHECKPOINT_VERSION, kind: 'control' }
const encoder = new TextEncoder()

export const checkpointEntry = (key: string, value: object | null): OutgoingRecord => ({
  key,
  value: value && encoder.encode(JSON.stringify(value)),
  headers: HEADERS,
})

/** The streams for which the positions of a checkpoint do not hold. */
export type StreamsLeft = Pick<Checkpoint, 'behind' | 'passedOver'>

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

/** The records of one checkpoint of a shard, as they stand now: the ids of the markets that changed, and what follows them all, its positions. */
export function checkpointRecords(
  shard: Shard,
  now: number,
  registryOffset: number,
  left: StreamsLeft,
  formerFurther: number,
): { readonly records: OutgoingRecord[]; readonly main: Checkpoint; readonly further: number } {
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
    records: [...windows, ...further, ...gone],
    main,
    further: others.length,
  }
}

export const furtherKey = (number: number): string => `${FURTHER_PREFIX}${number}`

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
