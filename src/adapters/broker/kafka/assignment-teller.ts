import type { GroupOptions } from '../../../ports/broker.ts'
import type { TopicPartition } from './assign-partitions.ts'
import type { KafkaSettings } from './settings.ts'

/** Hands assignments on: one after the other, the latest only while the one before is worked on, and no one twice. */
export class AssignmentTeller {
  readonly #options: GroupOptions
  readonly #log: KafkaSettings['log']
  #told = '[]'
  #next: readonly TopicPartition[] | undefined
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

  /** Nothing is told any more; resolves when the member works on nothing. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#telling
  }

  async #run(): Promise<void> {
    // A turn later, so that `#telling` is set before it is reset.
    await Promise.resolve()
    for (let next = this.#next; next !== undefined && !this.#stopped; next = this.#next) {
      this.#next = undefined
      const text = JSON.stringify(next)
      if (text === this.#told) continue
      this.#told = text
      try {
        await this.#options.onAssignment(next)
      } catch (error) {
        const { group } = this.#options
        this.#log.error({ group, err: error }, 'a member of a group failed to take its partitions over')
      }
    }
    this.#telling = undefined
  }
}
