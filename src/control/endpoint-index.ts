import { createSerializer } from '../async/serialize.ts'
import type { Broker } from '../ports/broker.ts'
import { decodeEndpoint, type EndpointRecord } from './endpoint-records.ts'
import { type ReadRange, readRanges } from './read-range.ts'
import { findTopic } from './topics.ts'

/** What partitions of `tapeline.endpoints` hold, by key. Read on demand, each record once. */
export class EndpointIndex {
  readonly #broker: Broker
  readonly #topic: string
  readonly #partitions: readonly number[] | undefined
  readonly #records = new Map<string, EndpointRecord>()
  readonly #next = new Map<number, number>()
  readonly #inTurn = createSerializer()

  /** Of all partitions, unless some are named. */
  constructor(broker: Broker, topic: string, partitions?: readonly number[]) {
    this.#broker = broker
    this.#topic = topic
    this.#partitions = partitions
  }

  get(key: string): EndpointRecord | undefined {
    return this.#records.get(key)
  }

  records(): IterableIterator<EndpointRecord> {
    return this.#records.values()
  }

  /** Reads what has come since the last time. Raises UPGRADE_NEEDED where some of it is not understood. */
  refresh(signal: AbortSignal): Promise<void> {
    return this.#inTurn(() => this.#read(signal))
  }

  async #read(signal: AbortSignal): Promise<void> {
    const found = await findTopic(this.#broker, this.#topic, signal)
    const ranges: ReadRange[] = []
    for (const [partition, { earliest, end }] of (found?.offsets ?? []).entries()) {
      if (this.#partitions !== undefined && !this.#partitions.includes(partition)) continue
      const offset = Math.max(this.#next.get(partition) ?? 0, earliest)
      ranges.push({ topic: this.#topic, partition, offset, end })
    }
    const ends = new Map(ranges.map(({ partition, end }) => [partition, end]))
    await readRanges(
      this.#broker,
      ranges,
      ({ partition, records, nextOffset }) => {
        for (const { key, value } of records) {
          if (key === null) continue
          if (value === null) this.#records.delete(key)
          else this.#records.set(key, decodeEndpoint(value))
        }
        this.#next.set(partition, Math.min(nextOffset, ends.get(partition) ?? 0))
      },
      signal,
    )
  }
}
