import { withDeadline } from '../../control/deadline.ts'
import { isAbort, toTapelineError } from '../../errors.ts'
import { checkpointPartition, checkpointRecords } from './checkpoint.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import type { Shard } from './shard.ts'

const EVERY_MS = 1_000

export interface CheckpointWriter {
  /** Starts writing the checkpoints of all shards, if a second has passed since the last time and that one is written. */
  writeIfDue(): void
  /** Writes them a last time. */
  close(signal: AbortSignal): Promise<void>
}

/**
 * Writes the checkpoints beside the data path: what is written is the state at the moment of the call, so the path need not
 * wait. Each goes out in a transaction of its shard, which the broker refuses to a former owner (R4).
 */
export function createCheckpointWriter(
  { now, log }: ProducerParts,
  { shards, routes, doubt, yieldTo }: ShardOwnership,
): CheckpointWriter {
  const stop = new AbortController()
  let lastAt = 0
  let writing: Promise<void> | undefined

  const writeOne = async (shard: Shard, signal: AbortSignal): Promise<void> => {
    const records = checkpointRecords(shard, now(), routes.appliedOffset, routes.behind(shard.k))
    const changed = [...shard.changed]
    shard.changed.clear()
    try {
      await shard.ownership.writer.commit([{ ...checkpointPartition(shard.k), records }], signal)
    } catch (error) {
      for (const market of changed) shard.changed.add(market)
      if (isAbort(error)) return
      const { code } = toTapelineError(error)
      log.warn({ shard: shard.k, code }, 'a checkpoint was not written')
      if (shards.get(shard.k) !== shard) return
      if (code === 'FENCED') yieldTo(shard.k)
      else doubt([shard.k])
    }
  }

  const writeAll = async (signal: AbortSignal): Promise<void> => {
    await Promise.all([...shards.values()].map((shard) => writeOne(shard, signal)))
  }

  return {
    writeIfDue() {
      if (writing !== undefined || now() - lastAt < EVERY_MS) return
      lastAt = now()
      writing = withDeadline(stop.signal, EVERY_MS * 10, writeAll).finally(() => {
        writing = undefined
      })
    },
    async close(signal) {
      await writing
      await writeAll(signal)
      stop.abort()
    },
  }
}
