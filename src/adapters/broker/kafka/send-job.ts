import { TapelineError } from '../../../errors.ts'
import type { OutgoingRecord, PartitionAck, PartitionRecords } from '../../../ports/broker.ts'
import { toBatches } from './record-sizes.ts'

/** Records of one partition that travel as one batch. */
export interface Batch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly OutgoingRecord[]
  /** Which entry of the job it is a part of. */
  readonly entry: number
}

/** What is known of a batch after it was sent. */
export type BatchOutcome =
  | { readonly kind: 'stored'; readonly baseOffset: number }
  /** Sending the same again may help, and makes no duplicate. */
  | { readonly kind: 'again'; readonly error: TapelineError }
  | { readonly kind: 'failed'; readonly error: TapelineError }

/** One call of `publish`, and what has become of it. */
export class SendJob {
  readonly entries: readonly PartitionRecords[]
  readonly bytes: number
  readonly result: Promise<readonly PartitionAck[]>
  readonly #settle = Promise.withResolvers<readonly PartitionAck[]>()
  /** Where each entry begins, and where its next batch must. */
  readonly #offsets: { base: number; next: number }[]
  #settled = false

  constructor(entries: readonly PartitionRecords[], bytes: number) {
    this.entries = entries
    this.bytes = bytes
    this.result = this.#settle.promise
    this.#offsets = entries.map(() => ({ base: -1, next: -1 }))
  }

  /** Whether the caller has its answer, or has given up. */
  get settled(): boolean {
    return this.#settled
  }

  /** The batches in rounds, of which each has at most one of a partition. */
  *rounds(): Generator<readonly Batch[]> {
    const lanes = new Map<string, Batch[]>()
    for (const [entry, { topic, partition, records }] of this.entries.entries()) {
      const key = `${topic}:${partition}`
      const lane = lanes.get(key) ?? []
      lanes.set(key, lane)
      for (const part of toBatches(records)) lane.push({ topic, partition, records: part, entry })
    }
    for (let round = 0; ; round++) {
      const batches = [...lanes.values()].flatMap((lane) => lane[round] ?? [])
      if (batches.length === 0) return
      yield batches
    }
  }

  /** Takes note of where a batch was stored; false where something of another writer lies in front of it. */
  stored({ entry, records }: Batch, baseOffset: number): boolean {
    const at = this.#offsets[entry]
    if (at === undefined) return false
    const follows = at.next === -1 || at.next === baseOffset
    if (at.base === -1) at.base = baseOffset
    at.next = baseOffset + records.length
    return follows
  }

  succeed(): void {
    this.#settled = true
    this.#settle.resolve(
      this.entries.map(({ topic, partition }, i) => ({
        topic,
        partition,
        baseOffset: this.#offsets[i]?.base ?? -1,
      })),
    )
  }

  fail(error: unknown): void {
    this.#settled = true
    this.#settle.reject(error)
  }
}

/** The one error of a job of which parts failed: what was written is unknown as soon as anything may have been. */
export function jobError(
  failures: readonly { readonly batch: Batch; readonly error: TapelineError }[],
  anyStored: boolean,
): TapelineError {
  const [first] = failures
  if (first === undefined) return new TapelineError('INTERNAL', 'a publish failed without a failure')
  if (!anyStored && failures.every(({ error }) => error.code === first.error.code)) return first.error
  const partitions = failures.map(({ batch: { topic, partition } }) => ({ topic, partition }))
  return new TapelineError('BROKER_UNAVAILABLE', `a part was not written: ${first.error.message}`, {
    cause: first.error,
    partitions,
  })
}
