import { NEVER } from '../../async/abort.ts'
import { withDeadline } from '../../async/deadline.ts'
import type { Ownership } from '../../control/claim.ts'
import type { EndpointIndex } from '../../control/endpoint-index.ts'
import {
  type EndpointBody,
  endpointEntry,
  endpointTombstone,
  type WebhookState,
} from '../../control/endpoint-records.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { OutgoingRecord, TopicPartition } from '../../ports/broker.ts'

/** How long one write may take. */
const WRITE_MS = 10_000
/**
 * A write proves that nobody else owned the partition, and the proof holds for so long after the write began. An older proof is renewed before a message
 * goes out. So an owner that stood still, and has a successor, sends nothing.
 */
export const PROOF_MS = 1_000

interface PartitionParts {
  readonly place: TopicPartition
  readonly ownership: Ownership
  readonly instance: string
  /** What was known of the partition when it was claimed. */
  readonly index: EndpointIndex
  /** A write failed: the partition must be claimed anew before the next one. */
  readonly onBroken: (error: TapelineError) => void
}

interface Waiting {
  readonly entry: OutgoingRecord
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A partition of `tapeline.endpoints` that this process owns: the broker refuses a former owner's writes (R8, R25). */
export class EndpointPartition {
  readonly #parts: PartitionParts
  readonly #states = new Map<string, WebhookState>()
  #waiting: Waiting[] = []
  #isWriting = false
  #provenAt = Number.NEGATIVE_INFINITY
  #failure: TapelineError | undefined

  constructor(parts: PartitionParts) {
    this.#parts = parts
    for (const record of parts.index.records()) {
      if (record.kind !== 'endpoint') continue
      const { v: _v, instance: _instance, epoch: _epoch, kind: _kind, ...state } = record
      this.#states.set(state.id, state)
    }
  }

  get partition(): number {
    return this.#parts.place.partition
  }

  /** Whether somebody else owned it last, and has not let go of it. */
  get wasHeldByOthers(): boolean {
    const owner = this.#parts.index.get(`owner:${this.partition}`)
    return owner?.kind === 'owner' && owner.held && owner.instance !== this.#parts.instance
  }

  /** Those whose states are known. */
  known(): IterableIterator<string> {
    return this.#states.keys()
  }

  state(id: string): WebhookState | undefined {
    return this.#states.get(id)
  }

  /** Writes how far a webhook is. Raises FENCED where another process owns the partition, and what a lost broker raises. */
  async write(state: WebhookState): Promise<void> {
    await this.#write(this.#entryOf({ kind: 'endpoint', ...state }))
    this.#states.set(state.id, state)
  }

  /** Forgets a webhook that is gone. */
  async forget(id: string): Promise<void> {
    await this.#write(endpointTombstone(id))
    this.#states.delete(id)
  }

  /** Makes sure that this process owned the partition a moment ago: it may have stood still in the middle of a write. Raises like `write`. */
  async prove(): Promise<void> {
    while (!this.isProven()) await this.#write(this.#ownerEntry(true))
  }

  /** Whether the last proof holds still. */
  isProven(): boolean {
    return performance.now() - this.#provenAt < PROOF_MS
  }

  /** Tells that this process holds the partition; or that it sends nothing any more, so that nobody waits for it. */
  async tellHeld(held: boolean): Promise<void> {
    await this.#write(this.#ownerEntry(held))
  }

  async close(): Promise<void> {
    this.#failure ??= new TapelineError('FENCED', 'this process has let go of the webhooks')
    await this.#parts.ownership.writer.close()
  }

  #ownerEntry(held: boolean): OutgoingRecord {
    return this.#entryOf({ kind: 'owner', partition: this.partition, held })
  }

  #entryOf(body: EndpointBody): OutgoingRecord {
    return endpointEntry(body, this.#parts.instance, this.#parts.ownership.epoch)
  }

  #write(entry: OutgoingRecord): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject })
      void this.#flush()
    })
  }

  /** One transaction at a time, with all that waits by then. */
  async #flush(): Promise<void> {
    if (this.#isWriting) return
    this.#isWriting = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      const beganAt = performance.now()
      try {
        const records = batch.map(({ entry }) => entry)
        await withDeadline(NEVER, WRITE_MS, (deadline) =>
          this.#parts.ownership.writer.commit([{ ...this.#parts.place, records }], deadline),
        )
        this.#provenAt = beganAt
        for (const { resolve } of batch) resolve()
      } catch (thrown) {
        const error = toTapelineError(thrown)
        const isFirst = this.#failure === undefined
        this.#failure ??= error
        for (const { reject } of [...batch, ...this.#waiting]) reject(error)
        this.#waiting = []
        if (isFirst) this.#parts.onBroken(error)
      }
    }
    this.#isWriting = false
  }
}
