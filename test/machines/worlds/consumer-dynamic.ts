import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { AnyEventObject } from 'xstate'
import type { ConsumerDynamicContext } from '../../../src/machines/consumer-dynamic-context.ts'
import type { DynamicBatch } from '../../../src/ports/pipeline.ts'
import type { Call } from '../bench.ts'
import { DELIVERED } from '../steps.ts'
import { pick, type World } from './world.ts'

const TOPICS = ['a', 'b', 'c']

/** An application and a broker: it knows which topics are wanted; a batch is given again until it is delivered. */
export class ConsumerDynamicWorld implements World<ConsumerDynamicContext> {
  readonly #wanted = new Set<string>()
  #inHand: DynamicBatch | null = null
  #isCalm = false
  #deliveredInCalm = 0

  command(choice: number): AnyEventObject {
    const topic = pick(TOPICS, Math.floor(choice / 5))
    switch (choice % 5) {
      case 0:
        return { type: 'RESET' }
      case 1:
      case 2:
        this.#wanted.delete(topic)
        return { type: 'UNSUBSCRIBE_FROM_TOPIC', topic }
      default:
        this.#wanted.add(topic)
        return { type: 'SUBSCRIBE_TO_TOPIC', topic }
    }
  }

  answer({ service, input }: Call): unknown {
    switch (service) {
      case 'subscribeTopicService':
        return undefined
      case 'receiveMessageService':
        assert.notDeepEqual(input['topics'], [], 'it waits for records of no topic')
        this.#inHand ??= { fetches: [] }
        return this.#inHand
      case 'processMessageService':
        assert.equal(input['message'], this.#inHand)
        return undefined
      default:
        assert.equal(input['message'], this.#inHand)
        this.#inHand = null
        if (this.#isCalm) this.#deliveredInCalm++
        return DELIVERED
    }
  }

  check({ currentMessage }: ConsumerDynamicContext): void {
    assert.equal(currentMessage, this.#inHand, 'the batch in hand')
  }

  calm(): void {
    this.#isCalm = true
  }

  /** With no topic wanted there is nothing to do; a live machine takes one at any time. */
  wake(): AnyEventObject | undefined {
    if (this.#wanted.size > 0) return undefined
    this.#wanted.add('woken')
    return { type: 'SUBSCRIBE_TO_TOPIC', topic: 'woken' }
  }

  isDone({ currentTopics }: ConsumerDynamicContext): boolean {
    const isUpToDate = isDeepStrictEqual(new Set(currentTopics), this.#wanted)
    return isUpToDate && this.#deliveredInCalm >= 2
  }
}
