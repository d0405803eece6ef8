import assert from 'node:assert/strict'
import { TupleMemory } from '../../../src/adapters/store/tuple-memory.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { Claim, ClaimTarget, PartitionWrite, RowMemory, Store } from '../../../src/ports/store.ts'

/** The part of a store that the fixed consumer uses. */
type WrittenStore = Pick<Store, 'lanes' | 'chunkMicros' | 'rowMemory' | 'claim' | 'write'>

interface Stored {
  fence: number
  nextOffset: number
  memory: Claim['memory']
}

/**
 * A database with fences in memory, shared by processes. It keeps the ids of trades, those that enter again once, and the details and
 * causes of status events, and checks what a real one could not: that no partition is in two writes of one process at once.
 */
export class FencedStore implements WrittenStore {
  readonly lanes: number
  readonly chunkMicros = 3_600_000_000
  readonly tradeIds: string[] = []
  readonly details: string[] = []
  readonly causes: string[] = []
  readonly offsets = new Map<string, Stored>()
  /** Every transaction: its partitions, and how many rows. */
  readonly transactions: { readonly partitions: readonly string[]; readonly rows: number }[] = []
  isAway = false
  /** Called in front of each transaction and after it; may wait or throw. */
  before: (writes: readonly PartitionWrite[]) => Promise<void> = async () => {}
  after: (writes: readonly PartitionWrite[]) => Promise<void> = async () => {}
  mostAtOnce = 0

  constructor(lanes = 2) {
    this.lanes = lanes
  }

  rowMemory(): RowMemory {
    return new TupleMemory()
  }

  async claim(targets: readonly ClaimTarget[]): Promise<Claim[]> {
    await this.#answer()
    return targets.map((target) => {
      const stored = this.#of(target)
      stored.fence++
      return { ...target, ...stored }
    })
  }

  async write(writes: readonly PartitionWrite[]): Promise<Claim[]> {
    await this.before(writes)
    await this.#answer()
    const lost = writes.filter(({ claim }) => {
      const { fence, nextOffset } = this.#of(claim)
      return claim.fence !== fence || claim.nextOffset !== nextOffset
    })
    if (lost.length > 0) {
      throw new TapelineError('FENCED', 'claimed by another process', {
        partitions: lost.map(({ claim }) => claim),
      })
    }
    let rows = 0
    for (const { claim, newOffset, memory, segments, back = false } of writes) {
      assert.equal(newOffset < claim.nextOffset, back, `${keyOf(claim)} goes to ${newOffset}`)
      Object.assign(this.#of(claim), { nextOffset: newOffset, memory })
      for (const segment of segments) {
        rows += segment.rows
        const texts = [...firstTexts(segment.tuples)]
        assert.equal(texts.length, segment.rows)
        if (segment.channel === 'trade')
          for (const [, , id = ''] of texts)
            if (!segment.reentering || !this.tradeIds.includes(id)) this.tradeIds.push(id)
        if (segment.channel !== 'status') continue
        this.details.push(...texts.map((row) => row[6] ?? ''))
        this.causes.push(...texts.map((row) => row[8] ?? ''))
      }
    }
    this.transactions.push({ partitions: writes.map(({ claim }) => keyOf(claim)), rows })
    await this.after(writes)
    return writes.map(({ claim, newOffset, memory }) => ({ ...claim, nextOffset: newOffset, memory }))
  }

  /** The store as one process sees it. */
  ofProcess(): Store {
    const busy = new Set<string>()
    let atOnce = 0
    const mine: WrittenStore = {
      lanes: this.lanes,
      chunkMicros: this.chunkMicros,
      rowMemory: () => this.rowMemory(),
      claim: (targets) => this.claim(targets),
      write: async (writes) => {
        for (const { claim } of writes) {
          assert.ok(!busy.has(keyOf(claim)), `${keyOf(claim)} is written twice at once`)
          busy.add(keyOf(claim))
        }
        this.mostAtOnce = Math.max(this.mostAtOnce, ++atOnce)
        try {
          return await this.write(writes)
        } finally {
          atOnce--
          for (const { claim } of writes) busy.delete(keyOf(claim))
        }
      },
    }
    return mine as Store
  }

  nextOffset(topic: string, partition: number): number {
    return this.offsets.get(`${topic}:${partition}`)?.nextOffset ?? 0
  }

  #of(target: ClaimTarget): Stored {
    const key = keyOf(target)
    const stored = this.offsets.get(key) ?? { fence: 0, nextOffset: 0, memory: emptyMemory() }
    this.offsets.set(key, stored)
    return stored
  }

  async #answer(): Promise<void> {
    await new Promise(setImmediate)
    if (this.isAway) throw new TapelineError('STORE_UNAVAILABLE', 'the database is away')
  }
}

function keyOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}:${partition}`
}

/** The fields of each binary COPY tuple as text. */
function* firstTexts(tuples: Uint8Array): Generator<string[]> {
  const bytes = Buffer.from(tuples)
  for (let at = 0; at < bytes.length; ) {
    const fields = bytes.readInt16BE(at)
    at += 2
    const row: string[] = []
    for (let field = 0; field < fields; field++) {
      const length = bytes.readInt32BE(at)
      at += 4
      row.push(length < 0 ? '' : bytes.toString('utf8', at, at + length))
      at += Math.max(0, length)
    }
    yield row
  }
}
