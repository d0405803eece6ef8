import type { PartitionFetch, StoredRecord } from '../../../ports/broker.ts'

/** What was fetched of one partition and is not taken yet. */
interface Fetched {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly records: readonly StoredRecord[]
  /** How many of them are taken. */
  taken: number
  readonly nextOffset: number
  readonly endOffset: number
}

type Notice = PartitionFetch & { readonly kind: 'truncated' | 'deleted' }

/** What a reader has fetched ahead, in turns of the partitions. */
export class ReadBuffer {
  readonly #fetched = new Map<string, Fetched[]>()
  readonly #notices: { readonly key: string; readonly notice: Notice }[] = []
  #records = 0

  /** Records that wait to be taken. */
  get records(): number {
    return this.#records
  }

  /** Whether records of a partition wait to be taken. */
  holds(key: string): boolean {
    return this.#fetched.has(key)
  }

  add(key: string, fetched: Omit<Fetched, 'taken'>): void {
    const queue = this.#fetched.get(key) ?? []
    queue.push({ ...fetched, taken: 0 })
    this.#fetched.set(key, queue)
    this.#records += fetched.records.length
  }

  /** Something to tell about a partition, behind what it holds. */
  tell(key: string, notice: Notice): void {
    this.#notices.push({ key, notice })
  }

  /** Forgets a partition. */
  drop(key: string): void {
    for (const { records, taken } of this.#fetched.get(key) ?? []) this.#records -= records.length - taken
    this.#fetched.delete(key)
    const kept = this.#notices.filter((each) => each.key !== key)
    this.#notices.splice(0, this.#notices.length, ...kept)
  }

  /** Takes about so many records, an equal share of each partition; who was served goes to the end of the queue. */
  take(maxRecords: number): PartitionFetch[] {
    const result: PartitionFetch[] = []
    const share = Math.max(1, Math.ceil(maxRecords / Math.max(1, this.#fetched.size)))
    let left = Math.max(1, maxRecords)
    for (const [key, queue] of [...this.#fetched]) {
      if (left <= 0) break
      this.#fetched.delete(key)
      const fetch = takeShare(queue, share)
      if (fetch !== undefined) {
        result.push(fetch)
        this.#records -= fetch.records.length
        left -= fetch.records.length
      }
      if (queue.length > 0) this.#fetched.set(key, queue)
    }
    const due = this.#notices.filter(({ key }) => !this.#fetched.has(key))
    const kept = this.#notices.filter(({ key }) => this.#fetched.has(key))
    this.#notices.splice(0, this.#notices.length, ...kept)
    return [...result, ...due.map(({ notice }) => notice)]
  }
}

/** Up to `share` records of one partition, as one fetch. */
function takeShare(queue: Fetched[], share: number): (PartitionFetch & { kind: 'records' }) | undefined {
  const [first] = queue
  if (first === undefined) return undefined
  const { topic, topicId, partition } = first
  const parts: (readonly StoredRecord[])[] = []
  let count = 0
  let [nextOffset, endOffset] = [first.nextOffset, first.endOffset]
  for (let head = queue[0]; head !== undefined; head = queue[0]) {
    const part = head.records.slice(head.taken, head.taken + share - count)
    parts.push(part)
    count += part.length
    head.taken += part.length
    endOffset = head.endOffset
    const rest = head.records[head.taken]
    nextOffset = rest === undefined ? head.nextOffset : rest.offset
    if (rest !== undefined) break
    queue.shift()
    if (count >= share) break
  }
  return { kind: 'records', topic, topicId, partition, records: parts.flat(), nextOffset, endOffset }
}
