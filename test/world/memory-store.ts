import { TupleMemory } from '../../src/adapters/store/tuple-memory.ts'
import { emptyMemory } from '../../src/domain/reader-rules.ts'
import type { StoredChannel } from '../../src/domain/rows.ts'
import { TapelineError } from '../../src/errors.ts'
import type { Claim, ClaimTarget, PartitionWrite, RowMemory, Store } from '../../src/ports/store.ts'

type WrittenStore = Pick<
  Store,
  'lanes' | 'chunkMicros' | 'rowMemory' | 'migrate' | 'claim' | 'write' | 'close'
>

interface Stored {
  fence: number
  nextOffset: number
  memory: Claim['memory']
}

/** A row by the columns that tell it from others of its table, as text. */
export type RowKey = string

/** A database in memory, with fences: what the platform writes of it, and nothing to ask by SQL. */
export class MemoryStore implements WrittenStore {
  readonly lanes = 2
  readonly chunkMicros = 3_600_000_000
  readonly rows = new Map<StoredChannel, RowKey[]>()
  readonly #offsets = new Map<string, Stored>()

  rowMemory(): RowMemory {
    return new TupleMemory()
  }

  async migrate(): Promise<Awaited<ReturnType<Store['migrate']>>> {
    return { applied: [], current: 'memory', missing: [] }
  }

  async claim(targets: readonly ClaimTarget[]): Promise<Claim[]> {
    return targets.map(({ topic, topicId, partition }) => {
      const stored = this.#of({ topic, topicId, partition })
      stored.fence++
      return { topic, topicId, partition, ...stored }
    })
  }

  async write(writes: readonly PartitionWrite[]): Promise<Claim[]> {
    const lost = writes.filter(({ claim }) => {
      const { fence, nextOffset } = this.#of(claim)
      return claim.fence !== fence || claim.nextOffset !== nextOffset
    })
    if (lost.length > 0)
      throw new TapelineError('FENCED', 'claimed by another process', {
        partitions: lost.map(({ claim }) => claim),
      })
    for (const { claim, newOffset, memory, segments } of writes) {
      Object.assign(this.#of(claim), { nextOffset: newOffset, memory })
      for (const { channel, tuples, reentering } of segments) this.#insert(channel, tuples, reentering)
    }
    return writes.map(({ claim, newOffset, memory }) => ({ ...claim, nextOffset: newOffset, memory }))
  }

  async close(): Promise<void> {}

  nextOffset(target: ClaimTarget): number {
    return this.#offsets.get(keyOf(target))?.nextOffset ?? 0
  }

  #insert(channel: StoredChannel, tuples: Uint8Array, reentering: boolean): void {
    const table = this.rows.get(channel) ?? []
    this.rows.set(channel, table)
    for (const fields of readTuples(tuples)) {
      const key = rowKey(channel, fields)
      if (!reentering || !table.includes(key)) table.push(key)
    }
  }

  #of(target: ClaimTarget): Stored {
    const key = keyOf(target)
    const stored = this.#offsets.get(key) ?? { fence: 0, nextOffset: 0, memory: emptyMemory() }
    this.#offsets.set(key, stored)
    return stored
  }
}

function keyOf({ topicId, partition }: ClaimTarget): string {
  return `${topicId}:${partition}`
}

/** Trades by exchange, symbol and id; quotes by exchange, symbol and bid; all others by all their columns. */
function rowKey(channel: StoredChannel, fields: readonly (Buffer | undefined)[]): RowKey {
  const text = (field: number): string => fields[field]?.toString() ?? ''
  if (channel === 'trade') return [text(0), text(1), text(2)].join(' ')
  if (channel === 'quote') return [text(0), text(1), fields[2]?.readDoubleBE()].join(' ')
  return fields.map((field) => field?.toString('latin1') ?? '').join(' ')
}

/** The fields of each tuple of a binary COPY. */
function* readTuples(tuples: Uint8Array): Generator<(Buffer | undefined)[]> {
  const bytes = Buffer.from(tuples)
  for (let at = 0; at < bytes.length; ) {
    const row: (Buffer | undefined)[] = []
    const fields = bytes.readInt16BE(at)
    at += 2
    for (let field = 0; field < fields; field++) {
      const length = bytes.readInt32BE(at)
      at += 4
      row.push(length < 0 ? undefined : bytes.subarray(at, at + length))
      at += Math.max(0, length)
    }
    yield row
  }
}
