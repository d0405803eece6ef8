import type { GroupOptions } from '../ports/broker.ts'

export type AssignedPartition = Parameters<GroupOptions['onAssignment']>[0][number]

/**
 * How long a partition that another process took is left to it while the group goes on giving it to this one. A process that
 * was stopped hears within seconds that the group has moved on; where it does not hear so, the other one was the stale one.
 */
const REST_MS = 10_000

/** The key of a partition among all topics. */
export function partitionKey(topic: string, partition: number): string {
  return `${topic}:${partition}`
}

/** The partitions that the group gives this process, without those that another process has just taken (R8), and none in doubt. */
export class Assignment {
  readonly #now: () => number
  #given = new Map<string, AssignedPartition>()
  #generation = 0
  #isInDoubt = false
  /** Since when others have what the group gave to us. */
  readonly #yielded = new Map<string, number>()

  /** `now`: milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Rises each time the group gives. */
  get generation(): number {
    return this.#generation
  }

  /** Takes what the group gives from now on, all of it to be claimed; gives what is given no longer. */
  set(partitions: readonly AssignedPartition[]): readonly AssignedPartition[] {
    const former = this.#given
    this.#given = new Map(partitions.map((each) => [partitionKey(each.topic, each.partition), each]))
    this.#yielded.clear()
    this.#generation++
    this.#isInDoubt = false
    return [...former].filter(([key]) => !this.#given.has(key)).map(([, each]) => each)
  }

  /** Nobody knows what the group gives until it says so again: nothing may be claimed. */
  doubt(): void {
    this.#isInDoubt = true
  }

  get isInDoubt(): boolean {
    return this.#isInDoubt
  }

  /**
   * Another process took what was claimed in a generation: it is not claimed again until the group gives it once more, which it
   * may have done since, or has given it for long enough.
   */
  yield({ topic, partition }: AssignedPartition, claimedIn: number): void {
    if (claimedIn === this.#generation) this.#yielded.set(partitionKey(topic, partition), this.#now())
  }

  /** Whether this process may claim it. */
  has(topic: string, partition: number): boolean {
    const key = partitionKey(topic, partition)
    if (this.#isInDoubt) return false
    return (
      this.#given.has(key) && this.#now() - (this.#yielded.get(key) ?? Number.NEGATIVE_INFINITY) >= REST_MS
    )
  }

  /** All that this process may claim. */
  list(): readonly AssignedPartition[] {
    return [...this.#given.values()].filter(({ topic, partition }) => this.has(topic, partition))
  }
}
