import { TapelineError } from '../../src/errors.ts'
import type { PartitionFetch, PollOptions, Reader, ReadPosition } from '../../src/ports/broker.ts'
import { currentHost, type Host } from './clock.ts'
import type { MemoryPartition, MemoryTopic, PartitionWatcher } from './memory-log.ts'

type Place = Pick<ReadPosition, 'topic' | 'partition'>

interface Position {
  readonly topic: MemoryTopic
  readonly partition: MemoryPartition
  readonly watcher: PartitionWatcher
  offset: number
  /**
   * How many ends the log had lost when it was last read from here: what has changed since shows, as the leaders' epochs tell it. Undefined
   * while nothing was read.
   */
  lostEnds: number | undefined
}

type Standing = Pick<Position, 'offset' | 'lostEnds'>

interface Taken {
  readonly positions: { readonly position: Position; readonly before: Standing; readonly to: number }[]
  readonly deleted: readonly string[]
}

const NOTHING: Taken = { positions: [], deleted: [] }

/** So many records one partition gives before the next has its turn. */
const TURN_RECORDS = 1_000

/** A reader of a log in memory. What a poll gave can be put back, for an answer that does not reach its reader. */
export class MemoryReader implements Reader {
  /** The process that opened it. */
  readonly host: Host | undefined = currentHost()
  readonly #find: (topic: string) => MemoryTopic
  readonly #onClosed: (reader: MemoryReader) => void
  /** In the order of their turns. */
  readonly #positions = new Map<string, Position>()
  readonly #deleted = new Set<string>()
  /** What the last poll gave. */
  #taken: Taken = NOTHING
  #wake: ((error?: TapelineError) => void) | undefined
  #isClosed = false

  constructor(find: (topic: string) => MemoryTopic, onClosed: (reader: MemoryReader) => void) {
    this.#find = find
    this.#onClosed = onClosed
  }

  async assign(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void> {
    this.#refuseWhenClosed()
    signal.throwIfAborted()
    const found = positions.map(({ topic: name, partition: number, offset }): Position => {
      const topic = this.#find(name)
      const watcher = { onAppended: () => this.#wake?.(), onDeleted: () => this.#delete(name) }
      return { topic, partition: topic.partition(number), watcher, offset, lostEnds: undefined }
    })
    this.#leave(positions)
    for (const position of found) {
      this.#positions.set(keyOf(position.topic.spec.name, position.partition.number), position)
      position.partition.watchers.add(position.watcher)
    }
    this.#wake?.()
  }

  async unassign(places: readonly Place[], signal: AbortSignal): Promise<void> {
    this.#refuseWhenClosed()
    signal.throwIfAborted()
    this.#leave(places)
  }

  #leave(places: readonly Place[]): void {
    for (const { topic, partition } of places) this.#drop(keyOf(topic, partition))
  }

  async poll({ maxRecords, waitMs }: PollOptions, signal: AbortSignal): Promise<readonly PartitionFetch[]> {
    this.#refuseWhenClosed()
    signal.throwIfAborted()
    const found = this.#take(maxRecords)
    if (found.length > 0 || waitMs <= 0) return found
    await this.#arrival(waitMs, signal)
    return this.#take(maxRecords)
  }

  /** The answer of the last poll was lost: the next one gives it again, of what is still read from there. */
  putBack(): void {
    const { positions, deleted } = this.#taken
    for (const { position, before, to } of positions)
      if (position.offset === to) Object.assign(position, before)
    for (const topic of deleted) this.#deleted.add(topic)
    this.#taken = NOTHING
  }

  /** The partitions that it reads. */
  places(): Place[] {
    return [...this.#positions.values()].map(({ topic, partition }) => ({
      ...{ topic: topic.spec.name, partition: partition.number },
    }))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    for (const key of [...this.#positions.keys()]) this.#drop(key)
    this.#isClosed = true
    this.#onClosed(this)
    this.#wake?.(closed())
  }

  #take(maxRecords: number): PartitionFetch[] {
    const deleted = [...this.#deleted]
    const fetches: PartitionFetch[] = deleted.map((topic) => ({ kind: 'deleted', topic }))
    this.#deleted.clear()
    const positions: Taken['positions'] = []
    this.#taken = { positions, deleted }
    let records = 0
    for (const [key, position] of [...this.#positions]) {
      if (records >= maxRecords) break
      const { topic, partition, offset, lostEnds } = position
      const place = { topic: topic.spec.name, partition: partition.number }
      const moved = movedTo(position)
      if (moved !== undefined) {
        position.offset = moved
        if (lostEnds !== undefined) position.lostEnds = partition.lostEnds.length
        positions.push({ position, before: { offset, lostEnds }, to: moved })
        fetches.push({ kind: 'truncated', ...place, position: offset, earliest: moved })
        continue
      }
      if (offset === partition.end) continue
      const rotten = partition.rottenFrom(offset)
      if (rotten !== undefined && rotten.from <= offset) {
        const { to: nextOffset, bytes } = rotten
        position.offset = nextOffset
        positions.push({ position, before: { offset, lostEnds }, to: nextOffset })
        const where = { ...place, topicId: topic.id, offset, nextOffset, endOffset: partition.end }
        fetches.push({ kind: 'undecodable', ...where, bytes, reason: 'its checksum is wrong' })
        continue
      }
      const found = partition.from(offset, Math.min(TURN_RECORDS, maxRecords - records))
      const last = found.at(-1)
      const isAll = last === undefined || partition.from(last.offset + 1, 1).length === 0
      position.offset = isAll ? (rotten?.from ?? partition.end) : last.offset + 1
      position.lostEnds = partition.lostEnds.length
      positions.push({ position, before: { offset, lostEnds }, to: position.offset })
      records += found.length
      fetches.push({
        kind: 'records',
        ...place,
        topicId: topic.id,
        records: found,
        nextOffset: position.offset,
        endOffset: partition.end,
      })
      // It had its turn.
      this.#positions.delete(key)
      this.#positions.set(key, position)
    }
    return fetches
  }

  #arrival(waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
        this.#wake = undefined
      }
      const onAbort = (): void => {
        settle()
        reject(signal.reason)
      }
      const wake = (error?: TapelineError): void => {
        settle()
        if (error) reject(error)
        else resolve()
      }
      const timer = setTimeout(wake, waitMs)
      signal.addEventListener('abort', onAbort, { once: true })
      this.#wake = wake
    })
  }

  #delete(topic: string): void {
    for (const [key, position] of [...this.#positions])
      if (position.topic.spec.name === topic) this.#drop(key)
    this.#deleted.add(topic)
    this.#wake?.()
  }

  #drop(key: string): void {
    const position = this.#positions.get(key)
    position?.partition.watchers.delete(position.watcher)
    this.#positions.delete(key)
  }

  #refuseWhenClosed(): void {
    if (this.#isClosed) throw closed()
  }
}

/** Where reading goes on instead: retention has passed the position, the log ends before it, or differs from what was read. */
function movedTo({ partition, offset, lostEnds }: Position): number | undefined {
  const { earliest, end } = partition
  const differs = lostEnds === undefined ? undefined : partition.divergence(lostEnds, offset)
  if (differs !== undefined) return Math.max(earliest, differs)
  if (offset < earliest) return earliest
  return offset > end ? end : undefined
}

function closed(): TapelineError {
  return new TapelineError('SHUTTING_DOWN', 'the reader is closed')
}

function keyOf(topic: string, partition: number): string {
  return `${topic}:${partition}`
}
