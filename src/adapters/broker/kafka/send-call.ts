import { TapelineError } from '../../../errors.ts'
import type { PartitionAck, PartitionRecords } from '../../../ports/broker.ts'

/** One call of `publish`, and what has become of its shares. */
export class SendCall {
  readonly entries: readonly PartitionRecords[]
  readonly result: Promise<readonly PartitionAck[]>
  readonly #settle = Promise.withResolvers<readonly PartitionAck[]>()
  /** Where each entry begins, and where its next share must. */
  readonly #offsets: { base: number; next: number }[]
  #missing: number
  #settled = false

  /** `shares`: how many have to be stored. */
  constructor(entries: readonly PartitionRecords[], shares: number) {
    this.entries = entries
    this.result = this.#settle.promise
    this.#offsets = entries.map(() => ({ base: -1, next: -1 }))
    this.#missing = shares
    if (shares === 0) this.#succeed()
  }

  /** Whether the caller has its answer, or has given up. */
  get settled(): boolean {
    return this.#settled
  }

  /** A share has become several. */
  divide(shares: number): void {
    this.#missing += shares - 1
  }

  /** Takes note of where a share of an entry was stored, and tells the caller when all are. */
  stored(entry: number, baseOffset: number, count: number): void {
    const at = this.#offsets[entry]
    if (at === undefined || this.#settled) return
    if (at.next !== -1 && at.next !== baseOffset && !this.entries[entry]?.shared) {
      const { topic, partition } = this.entries[entry] ?? {}
      const message = `another writer came between the records for ${topic}:${partition}`
      this.fail(new TapelineError('BROKER_UNAVAILABLE', message))
      return
    }
    if (at.base === -1) at.base = baseOffset
    at.next = baseOffset + count
    this.#missing--
    if (this.#missing === 0) this.#succeed()
  }

  fail(error: unknown): void {
    this.#settled = true
    this.#settle.reject(error)
  }

  #succeed(): void {
    this.#settled = true
    this.#settle.resolve(
      this.entries.map(({ topic, partition }, i) => ({
        topic,
        partition,
        baseOffset: this.#offsets[i]?.base ?? -1,
      })),
    )
  }
}
