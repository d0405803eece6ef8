import assert from 'node:assert/strict'
import type { AnyEventObject } from 'xstate'
import type { ProducerContext } from '../../../src/machines/producer-context.ts'
import type { SourceBatch } from '../../../src/ports/source.ts'
import type { Call } from '../bench.ts'
import { outcome, sourceBatch } from '../steps.ts'
import { pick, type World } from './world.ts'

const TOPICS = ['standing', 'other', 'third']

/** A source, a broker and a coordinator that know what the producer owes them. */
export class ProducerWorld implements World<ProducerContext> {
  #serial = 0
  #isCalm = false
  /** Batches that are not acknowledged, in the order in which they came. */
  readonly #owed: SourceBatch[] = []
  readonly #asked = new Set<string>()
  #notified = 0
  #derivations = 0
  #derivationsWhenNotified = 0
  #publishedInCalm = 0

  command(choice: number): AnyEventObject {
    switch (choice % 8) {
      case 0:
        return { type: 'FETCH_DATA' }
      case 1: {
        const data = sourceBatch(`extra ${this.#serial++}`)
        this.#owed.push(data)
        return { type: 'PUBLISH_FIXED', data }
      }
      case 2:
        return { type: 'PUBLISH_FIXED' }
      case 3:
        return { type: 'PUBLISH_DYNAMIC' }
      case 4:
      case 5: {
        const topicName = pick(TOPICS, choice)
        this.#asked.add(topicName)
        return { type: 'CREATE_TOPIC', topicName }
      }
      case 6:
        this.#notified++
        this.#derivationsWhenNotified = this.#derivations
        return { type: 'NOTIFY_PRODUCER', notification: { ready: ['s'], ended: [] } }
      default:
        return { type: 'RESET' }
    }
  }

  answer({ service, input }: Call, choice: number): unknown {
    switch (service) {
      case 'fetchDataService': {
        const isQuiet = this.#isCalm ? this.#publishedInCalm > 0 : choice % 3 === 0
        const data = sourceBatch(`fetched ${this.#serial++}`, isQuiet ? 0 : 1)
        this.#owed.push(data)
        return data
      }
      case 'publishFixedService': {
        const data = input['data'] as SourceBatch
        const place = this.#owed.indexOf(data)
        assert.notEqual(place, -1, 'a batch was published twice, though nothing failed')
        this.#owed.splice(place, 1)
        if (this.#isCalm && data.items.length > 0) this.#publishedInCalm++
        return outcome(!this.#isCalm && choice % 2 === 0)
      }
      case 'publishDynamicService':
        this.#derivations++
        return outcome(!this.#isCalm && choice % 4 === 0)
      default: {
        const topicName = input['topicName'] as string
        assert.ok(this.#asked.has(topicName), 'a topic was asked for again, though it had been created')
        const isOpen = !this.#isCalm && choice % 2 === 0
        if (!isOpen) this.#asked.delete(topicName)
        return { topicName, outcome: isOpen ? 'open' : 'created' }
      }
    }
  }

  check({ currentData, waiting }: ProducerContext): void {
    const held = new Set([currentData, ...waiting.batches])
    assert.deepEqual(
      this.#owed.filter((batch) => !held.has(batch)),
      [],
      'a batch was lost',
    )
    const remembered = new Set(waiting.topics.map(({ name }) => name))
    assert.deepEqual(remembered, this.#asked, 'topics that are still to be created')
  }

  calm(): void {
    this.#isCalm = true
  }

  wake(): undefined {}

  isDone({ waiting }: ProducerContext): boolean {
    const streamsServed = this.#notified === 0 || this.#derivations > this.#derivationsWhenNotified
    const nothingWaits = waiting.topics.length === 0 && waiting.batches.length === 0 && !waiting.dynamic
    return nothingWaits && streamsServed && this.#publishedInCalm > 0
  }
}
