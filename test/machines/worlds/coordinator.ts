import assert from 'node:assert/strict'
import type { AnyEventObject } from 'xstate'
import type { CoordinatorContext } from '../../../src/machines/coordinator.ts'
import type { TopicBatch } from '../../../src/ports/pipeline.ts'
import type { Call } from '../bench.ts'
import { CREATE } from '../steps.ts'
import type { World } from './world.ts'

/** A registry and a broker: a batch of requests is given again until its last step has succeeded. */
export class CoordinatorWorld implements World<CoordinatorContext> {
  #inHand: TopicBatch | null = null
  #serial = 0
  #told = false
  #isCalm = false
  #cyclesInCalm = 0

  command(): AnyEventObject {
    return { type: 'RESET' }
  }

  answer({ service, input }: Call, choice: number): unknown {
    if (service === 'receiveRequestsService') {
      this.#inHand ??= this.#nextBatch(choice % 2 === 0)
      this.#told = false
      return this.#inHand
    }
    assert.deepEqual(input['batch'], this.#inHand, 'the batch in hand')
    if (service === 'createTopicService') assert.equal(this.#inHand?.kind, 'create')
    if (service === 'deleteTopicService') assert.ok(this.#told, 'a topic was deleted before the others knew')
    if (service === 'notifyActorsService') this.#told = true
    const isLast = service === 'deleteTopicService' || (this.#told && this.#inHand?.kind === 'create')
    if (isLast) {
      this.#inHand = null
      if (this.#isCalm) this.#cyclesInCalm++
    }
    return undefined
  }

  #nextBatch(isDelete: boolean): TopicBatch {
    const topicName = `app.${this.#serial++}`
    if (isDelete) return { kind: 'delete', requests: [{ topicName, streamId: 's' }], controlOffset: 0 }
    return { ...CREATE, requests: CREATE.requests.map((request) => ({ ...request, topicName })) }
  }

  check({ pendingTopic }: CoordinatorContext): void {
    assert.deepEqual(pendingTopic, this.#inHand, 'the batch in hand')
  }

  calm(): void {
    this.#isCalm = true
  }

  wake(): undefined {}

  isDone(): boolean {
    return this.#cyclesInCalm >= 2
  }
}
