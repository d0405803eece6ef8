import type { GroupOptions } from '../../../ports/broker.ts'
import type { TopicPartition } from './assign-partitions.ts'
import type { KafkaSettings } from './settings.ts'

/** What was told last, as text. */
const NONE = '[]'
const UNKNOWN = ''

/**
 * Hands assignments on: one after the other, the latest only while the one before is worked on, and no one twice but after a doubt,
 * which is told before it.
 */
export class AssignmentTeller {
  readonly #options: GroupOptions
  readonly #log: KafkaSettings['log']
  #told = NONE
  #next: readonly TopicPartition[] | undefined
  #isDoubtDue = false
  #telling: Promise<void> | undefined
  #stopped = false

  constructor(options: GroupOptions, log: KafkaSettings['log']) {
    this.#options = options
    this.#log = log
  }

  /** Resolves when the member has worked on it. */
  async tell(partitions: readonly TopicPartition[]): Promise<void> {
    if (this.#stopped) return
    this.#next = partitions.toSorted((a, b) =>
      a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
    )
    this.#telling ??= this.#run()
    await this.#telling
  }

  /** Tells that the partitions may be others'. */
  doubt(): void {
    if (this.#stopped) return
    this.#isDoubtDue = true
    this.#next = undefined
    this.#telling ??= this.#run()
  }

  /** Tells the member nothing more; resolves when the member works on nothing. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#telling
  }

  async #run(): Promise<void> {
    // A turn later, so that `#telling` is set before it is reset.
    await Promise.resolve()
    while ((this.#isDoubtDue || this.#next !== undefined) && !this.#stopped) {
      try {
        await this.#tellNext()
      } catch (error) {
        const { group } = this.#options
        this.#log.error({ group, err: error }, 'a member of a group failed to take its partitions over')
      }
    }
    this.#telling = undefined
  }

  async #tellNext(): Promise<void> {
    const { onAssignment, onDoubt } = this.#options
    if (this.#isDoubtDue) {
      this.#isDoubtDue = false
      this.#told = onDoubt === undefined ? NONE : UNKNOWN
      await (onDoubt === undefined ? onAssignment([]) : onDoubt())
      return
    }
    const next = this.#next ?? []
    this.#next = undefined
    const text = JSON.stringify(next)
    if (text === this.#told) return
    this.#told = text
    await onAssignment(next)
  }
}
