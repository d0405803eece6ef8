import { withDeadline } from '../../async/deadline.ts'
import { createSerializer } from '../../async/serialize.ts'
import { CHANNELS } from '../../domain/events.ts'
import { isAbort, TapelineError, toTapelineError } from '../../errors.ts'
import type { OutgoingRecord, PartitionRecords } from '../../ports/broker.ts'
import {
  CHECKPOINT_KEY,
  type Checkpoint,
  checkpointEntry,
  checkpointRecords,
  checkpointState,
} from './checkpoint.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import { forgetMarks, type SavedMarks, saveWindows } from './saved-windows.ts'
import type { Shard } from './shard.ts'

const EVERY_MS = 1_000
/**
 * After few records a checkpoint waits so long. It names the last trades of every market that has traded since the one before: at some trades
 * a second that is many times the trades themselves, and whoever takes over reads it all, as far as it is not compacted.
 */
const FEW_EVERY_MS = 5_000
/** So many are few: no more than is read before the checkpoint anyway, for the latest values of markets. */
const FEW_RECORDS = 1_000
/**
 * A checkpoint that says the same as the one before waits so long. From an older checkpoint, whoever takes over reads more of the dynamic topics
 * than it needs, and derives from the same place (R4).
 */
const UNCHANGED_EVERY_MS = 30_000
const WRITE_TIMEOUT_MS = 10_000
/** This process leaves a shard that goes to another one within so long. */
const LAST_WRITE_MS = 1_000

export interface CheckpointWriter {
  /** Starts to write the checkpoints that are due, once a second, and only if the ones before are written. */
  writeIfDue(): void
  /** Writes other records in a transaction of their shard. Raises FENCED where this process does not own it any more, and what the broker does. */
  commit(shard: Shard, entries: readonly PartitionRecords[], signal: AbortSignal): Promise<void>
  /** Writes the checkpoint of a shard that is about to go, as it is at the moment of the call. */
  writeLast(shard: Shard): Promise<void>
  /** Writes them a last time. */
  close(signal: AbortSignal): Promise<void>
}

/** The checkpoint that a shard has written last. */
interface Written {
  readonly state: string
  readonly at: number
  /** How many records of the fixed topics lie before it. */
  readonly position: number
  /** How many further records it has. */
  readonly further: number
}

/** A checkpoint on its way, with the markets whose windows are in it. */
interface Taken extends Written {
  readonly records: readonly OutgoingRecord[]
  /** Follows the records. */
  readonly main: Checkpoint
  readonly changed: readonly string[]
  /** Which windows of streams stand in the checkpoints, once it is written. */
  readonly marks: SavedMarks
}

/**
 * Writes checkpoints beside the data path, which need not wait: a checkpoint has the state at the moment of the call. It goes out in a
 * transaction of its shard, which the broker refuses to a former owner (R4).
 */
export function createCheckpointWriter(
  { names, now, log }: ProducerParts,
  { shards, routes, doubt, refuse }: ShardOwnership,
): CheckpointWriter {
  const stop = new AbortController()
  const written = new WeakMap<Shard, Written>()
  const saved = new WeakMap<Shard, SavedMarks>()
  const turns = new WeakMap<Shard, ReturnType<typeof createSerializer>>()
  let lastAt = 0
  let writing: Promise<void> | undefined

  /** One transaction of a shard at a time. */
  const inTurn = (shard: Shard, work: () => Promise<void>): Promise<void> => {
    const turn = turns.get(shard) ?? createSerializer()
    turns.set(shard, turn)
    return turn(work)
  }

  /** Whether a checkpoint can wait after few records, whatever it would say: to know that costs the most where many streams are behind. */
  const isEarly = (former: Written, position: number): boolean =>
    position - former.position < FEW_RECORDS && now() - former.at < FEW_EVERY_MS

  /** Whether a checkpoint can wait that would say nothing new. */
  const isNoNews = (former: Written, state: string, { changed }: Shard): boolean =>
    former.state === state && changed.size === 0 && now() - former.at < UNCHANGED_EVERY_MS

  /** The checkpoint of a shard as it is at this moment; undefined where it can wait. The shard must be owned. */
  const take = (shard: Shard, isLast: boolean): Taken | undefined => {
    // Its windows know trades that may never be published. The next owner would take them for published.
    if (shard.isAhead) return undefined
    const at = now()
    const former = written.get(shard)
    const position = CHANNELS.reduce((sum, channel) => sum + shard.tails[channel].derivedTo, 0)
    // The owner may go before the next one, and nobody else can know.
    const isUrgent = isLast || routes.hasLossToSay(shard.k)
    if (former && !isUrgent && isEarly(former, position)) return undefined
    const left = { behind: routes.behind(shard.k), passedOver: routes.passedOver(shard.k) }
    const state = JSON.stringify(checkpointState(shard, routes.coveredOffset, left))
    routes.said(shard.k)
    if (former && isNoNews(former, state, shard)) return undefined
    const formerFurther = former?.further ?? shard.restored.parts ?? 0
    const { records, main, further } = checkpointRecords(shard, at, routes.coveredOffset, left, formerFurther)
    const changed = [...shard.changed]
    shard.changed.clear()
    const { entries, marks } = saveWindows(shard, routes, saved.get(shard))
    const windows = entries.map(([key, body]) => checkpointEntry(key, body))
    return { records: [...windows, ...records], main, changed, state, at, position, further, marks }
  }

  const write = async (
    shard: Shard,
    { records, main, changed, marks, ...now }: Taken,
    signal: AbortSignal,
  ): Promise<void> => {
    try {
      const expected = shard.checkpointsEnd
      const last = checkpointEntry(CHECKPOINT_KEY, { ...main, lowest: expected + records.length })
      const entries = [{ topic: names.checkpoints, partition: shard.k, records: [...records, last] }]
      const [ack] = await shard.ownership.writer.commit(entries, signal)
      const { baseOffset = 0 } = ack ?? {}
      const hasLostEnd = baseOffset < expected
      shard.checkpointsEnd = baseOffset + records.length + 1
      if (hasLostEnd) {
        log.error(
          { topic: names.checkpoints, shard: shard.k, baseOffset },
          'the checkpoints have lost their end',
        )
        for (const market of shard.windows.keys()) shard.changed.add(market)
      }
      // What it lacks follows at once. Whoever takes over before that takes trades that it does not know for possible repeats.
      const at = hasLostEnd ? Number.NEGATIVE_INFINITY : now.at
      written.set(shard, { ...now, at })
      saved.set(shard, hasLostEnd ? forgetMarks(marks) : marks)
      const rest = hasLostEnd && shards.get(shard.k) === shard ? take(shard, true) : undefined
      if (rest !== undefined) await write(shard, rest, signal)
    } catch (error) {
      for (const market of changed) shard.changed.add(market)
      if (isAbort(error)) return
      log.warn({ shard: shard.k, code: toTapelineError(error).code }, 'a checkpoint was not written')
      noteFailure(shard, error)
    }
  }

  /** A transaction of the shard has failed: it may have written all the same, or another process owns the shard. */
  const noteFailure = (shard: Shard, error: unknown): void => {
    if (shards.get(shard.k) !== shard) return
    if (toTapelineError(error).code === 'FENCED') refuse(shard.k)
    else doubt([shard.k])
  }

  const writeAll = async (isLast: boolean, signal: AbortSignal): Promise<void> => {
    await Promise.all(
      [...shards.values()].map((shard) =>
        inTurn(shard, async () => {
          // What is known of a shard that went meanwhile is gone with it.
          const taken = shards.get(shard.k) === shard ? take(shard, isLast) : undefined
          if (taken) await write(shard, taken, signal)
        }),
      ),
    )
  }

  return {
    writeIfDue() {
      if (writing !== undefined || stop.signal.aborted || now() - lastAt < EVERY_MS) return
      lastAt = now()
      writing = withDeadline(stop.signal, WRITE_TIMEOUT_MS, (deadline) => writeAll(false, deadline)).finally(
        () => {
          writing = undefined
        },
      )
    },
    commit: (shard, entries, signal) =>
      inTurn(shard, async () => {
        if (shards.get(shard.k) !== shard)
          throw new TapelineError('FENCED', `shard ${shard.k} is another process's by now`)
        try {
          await shard.ownership.writer.commit(entries, signal)
        } catch (error) {
          if (!isAbort(error)) noteFailure(shard, error)
          throw error
        }
      }),
    async writeLast(shard) {
      const taken = stop.signal.aborted ? undefined : take(shard, true)
      if (taken === undefined) return
      await withDeadline(stop.signal, LAST_WRITE_MS, (deadline) =>
        inTurn(shard, () => write(shard, taken, deadline)),
      )
    },
    async close(signal) {
      await writing
      await writeAll(true, signal)
      stop.abort()
    },
  }
}
