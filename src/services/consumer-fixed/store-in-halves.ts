import { type TapelineError, toTapelineError } from '../../errors.ts'
import type { StoredRecord } from '../../ports/broker.ts'
import type { FixedFetch } from '../../ports/pipeline.ts'

type RecordsFetch = FixedFetch & { kind: 'records' }

/** What storing in halves does with a half, and with a record that is refused. */
interface HalvesStore {
  /**
   * Stores a half, or the whole. Raises EVENT_INVALID where the database refuses a row, STORE_WRITE_TOO_LARGE where it refuses so many rows at
   * once. Then nothing of the half is stored.
   */
  readonly store: (half: FixedFetch) => Promise<void>
  /** Keeps a record that the database refuses. */
  readonly reject: (half: RecordsFetch, record: StoredRecord, error: TapelineError) => Promise<void>
}

/** Whether a write that failed may succeed in halves. */
export function isForHalves({ code }: TapelineError): boolean {
  return code === 'EVENT_INVALID' || code === 'STORE_WRITE_TOO_LARGE'
}

/**
 * Stores what was read of one partition although the database refuses a row: halves it until a half is a single refused record, sets that apart,
 * and stores the rest (R3). It also halves what is too much for one transaction. A table may be stricter than the shape of an event, by a
 * constraint that its owner added.
 */
export async function storeInHalves(fetch: FixedFetch, store: HalvesStore): Promise<void> {
  try {
    await store.store(fetch)
  } catch (thrown) {
    const error = toTapelineError(thrown)
    const [first, ...others] = fetch.kind === 'records' ? fetch.records : []
    if (!isForHalves(error) || fetch.kind !== 'records' || first === undefined) throw thrown
    if (others.length === 0) {
      if (error.code !== 'EVENT_INVALID') throw thrown
      await store.reject(fetch, first, error)
      await store.store({ ...fetch, records: [] })
      return
    }
    const half = fetch.records.length >> 1
    const [front, back] = [fetch.records.slice(0, half), fetch.records.slice(half)]
    await storeInHalves({ ...fetch, records: front, nextOffset: back[0]?.offset ?? fetch.nextOffset }, store)
    await storeInHalves({ ...fetch, records: back }, store)
  }
}
