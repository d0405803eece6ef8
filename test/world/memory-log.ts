import { TapelineError } from '../../src/errors.ts'
import type { OutgoingRecord, StoredRecord, TopicDescription, TopicSpec } from '../../src/ports/broker.ts'

/** Who reads a partition, and hears of what happens to it. */
export interface PartitionWatcher {
  readonly onAppended: () => void
  readonly onDeleted: () => void
}

/** An end that a partition has lost: a leader without it went on. */
export interface LostEnd {
  /** The first offset that was lost, and the end until then. */
  readonly from: number
  readonly to: number
  readonly records: readonly StoredRecord[]
}

/** A batch whose bytes on the disk are not what was written: no reader can make anything of it. */
export interface RottenBatch {
  readonly from: number
  /** The first offset after it. */
  readonly to: number
  readonly bytes: Uint8Array
}

/** One partition of a log in memory. Offsets may have holes, as those of Kafka have: control records, compaction. */
export class MemoryPartition {
  readonly number: number
  earliest = 0
  end = 0
  /** What can be read. */
  records: StoredRecord[] = []
  /** All that was ever appended, but for ends that were lost. */
  archive: StoredRecord[] = []
  readonly lostEnds: LostEnd[] = []
  rotten: readonly RottenBatch[] = []
  /** All that ever was, also in ends that were lost. */
  readonly everRotten: RottenBatch[] = []
  readonly watchers = new Set<PartitionWatcher>()
  #lastTimestamp = 0
  /** Where batches begin and end. */
  #batches: Pick<RottenBatch, 'from' | 'to'>[] = []
  #rotsNext = false

  constructor(number: number) {
    this.number = number
  }

  /** Appends, and gives the offset of the first one. */
  append(records: readonly OutgoingRecord[], now: number): number {
    const baseOffset = this.end
    this.#lastTimestamp = Math.max(this.#lastTimestamp, Math.floor(now))
    for (const { key, value, headers } of records) {
      const copy = value === null ? null : new Uint8Array(value)
      const record = { key, value: copy, headers, offset: this.end++, timestamp: this.#lastTimestamp }
      this.records.push(record)
      this.archive.push(record)
    }
    // A marker that says that positions come a second time is missed by readers where it rots: they drop what follows.
    if (
      records.length > 0 &&
      !records.some(({ headers: { kind, position } }) => kind === 'marker' && position)
    ) {
      this.#batches.push({ from: baseOffset, to: this.end })
      if (this.#rotsNext) this.rot(0)
      this.#rotsNext = false
    }
    if (records.length > 0) this.#notify()
    return baseOffset
  }

  /** The bytes of a batch are spoilt: the last one, or so many before it. Who has read it has read it. */
  rot(back: number): void {
    const batch = this.#batches.at(-1 - back)
    if (batch === undefined || this.rotten.some(({ from }) => from === batch.from)) return
    const values = this.archive.filter(({ offset }) => batch.from <= offset && offset < batch.to)
    const bytes = Buffer.concat(values.map(({ value }) => value ?? new Uint8Array()))
    const rotten = { ...batch, bytes }
    this.everRotten.push(rotten)
    this.rotten = [...this.rotten, rotten].toSorted((a, b) => a.from - b.from)
  }

  /** The next batch comes to the disk spoilt: nobody ever reads it. */
  rotNext(): void {
    this.#rotsNext = true
  }

  /** Somebody has mended the disk: all can be read again. */
  mend(): void {
    this.rotten = []
    this.#rotsNext = false
  }

  /** What is rotten at an offset or after it. */
  rottenFrom(offset: number): RottenBatch | undefined {
    return this.rotten.find(({ to }) => to > offset)
  }

  /** What a transaction leaves after its records. */
  appendControl(): void {
    this.end++
    this.#notify()
  }

  /** Records from an offset on, as far as they were not removed; none where it is rotten, nor after such a place. */
  from(offset: number, most: number): readonly StoredRecord[] {
    let low = 0
    let high = this.records.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.records[middle]?.offset ?? 0) < offset) low = middle + 1
      else high = middle
    }
    const { from = this.end } = this.rottenFrom(offset) ?? {}
    return this.records.slice(low, low + most).filter((record) => record.offset < from)
  }

  /** Retention removes what lies before an offset. */
  removeBefore(offset: number): void {
    this.earliest = Math.max(this.earliest, Math.min(offset, this.end))
    this.records = this.records.filter((record) => record.offset >= this.earliest)
  }

  /** Retention removes what is older than a time, in milliseconds. */
  removeOlder(than: number): void {
    this.removeBefore(this.records.find(({ timestamp }) => timestamp >= than)?.offset ?? this.end)
  }

  /** The log loses its end, as in a power failure. */
  cut(end: number): void {
    const to = this.end
    this.end = Math.max(this.earliest, Math.min(end, to))
    if (this.end === to) return
    const isLost = ({ offset }: StoredRecord): boolean => offset >= this.end
    const records = this.archive.filter(isLost)
    this.lostEnds.push({ from: this.end, to, records })
    this.records = this.records.filter((record) => !isLost(record))
    this.archive = this.archive.filter((record) => !isLost(record))
    this.#batches = this.#batches.filter(({ to }) => to <= this.end)
    this.rotten = this.rotten.filter(({ to }) => to <= this.end)
    this.#notify()
  }

  /**
   * The first offset from which the log differs from what it was when it had lost so many ends; undefined where that is the same before a
   * position.
   */
  divergence(lostEnds: number, position: number): number | undefined {
    const from = Math.min(...this.lostEnds.slice(lostEnds).map((lost) => lost.from))
    return from < position ? from : undefined
  }

  /** Keeps the last record of each key before an offset, tombstones too: they stay for a day. */
  compact(before: number): void {
    const last = new Map(this.records.map(({ key, offset }) => [key, offset]))
    this.records = this.records.filter(({ key, offset }) => offset >= before || last.get(key) === offset)
  }

  #notify(): void {
    for (const watcher of this.watchers) watcher.onAppended()
  }
}

/** A topic of a log in memory. */
export class MemoryTopic {
  readonly spec: TopicSpec
  readonly id: string
  readonly partitions: readonly MemoryPartition[]

  constructor(spec: TopicSpec, id: string) {
    this.spec = spec
    this.id = id
    this.partitions = Array.from({ length: spec.partitions }, (_, number) => new MemoryPartition(number))
  }

  describe(): TopicDescription {
    const { name, partitions, compacted = false, retentionMs } = this.spec
    return {
      ...{ name, id: this.id, partitions, compacted },
      ...(retentionMs !== undefined && { retentionMs }),
      offsets: this.partitions.map(({ earliest, end }) => ({ earliest, end })),
    }
  }

  partition(number: number): MemoryPartition {
    const partition = this.partitions[number]
    if (partition) return partition
    throw new TapelineError('TOPIC_UNKNOWN', `there is no partition ${number} of ${this.spec.name}`)
  }
}
