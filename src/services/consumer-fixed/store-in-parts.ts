import { type TapelineError, toTapelineError } from '../../errors.ts'
import type { StoredRecord } from '../../ports/broker.ts'
import type { FixedFetch } from '../../ports/pipeline.ts'

type RecordsFetch = FixedFetch & { kind: 'records' }

/** What storing in parts does with a part of a partition, and with a record that is refused. */
interface PartStore {
  /**
   * Stores a part. Raises EVENT_INVALID where the database refuses a row of it, STORE_WRITE_TOO_LARGE where it refuses so many at
   * once; then nothing of it is stored.
   */
  readonly store: (part: FixedFetch) => Promise<void>
  /** Keeps a record that the database refuses. */
  readonly reject: (part: RecordsFetch, record: StoredRecord, error: TapelineError) => Promise<void>
}

/** Whether a write that failed may succeed in smaller parts. */
export function isForParts({ code }: TapelineError): boolean {
  return code === 'EVENT_INVALID' || code === 'STORE_WRITE_TOO_LARGE'
}

/**
 * Stores what was read of one partition although the database refuses a row of it: halves it until what is refused is a single
 * record. That one is set apart, and the rest is stored (R3). So does it with what is too much for one transaction. A table may be stricter than the shape of an event, by a
 * constraint that its owner added.
 */
export async function storeInParts(part: FixedFetch, parts: PartStore): Promise<void> {
  try {
    await parts.store(part)
  } catch (thrown) {
    const error = toTapelineError(thrown)
    const [first, ...others] = part.kind === 'records' ? part.records : []
    if (!isForParts(error) || part.kind !== 'records' || first === undefined) throw thrown
    if (others.length === 0) {
      if (error.code !== 'EVENT_INVALID') throw thrown
      await parts.reject(part, first, error)
      await parts.store({ ...part, records: [] })
      return
    }
    const half = part.records.length >> 1
    const [front, back] = [part.records.slice(0, half), part.records.slice(half)]
    await storeInParts({ ...part, records: front, nextOffset: back[0]?.offset ?? part.nextOffset }, parts)
    await storeInParts({ ...part, records: back }, parts)
  }
}
