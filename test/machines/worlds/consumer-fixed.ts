import assert from 'node:assert/strict'
import type { AnyEventObject } from 'xstate'
import type { ConsumerFixedContext } from '../../../src/machines/consumer-fixed.ts'
import type { FixedBatch, PreparedBatch } from '../../../src/ports/pipeline.ts'
import type { Call } from '../bench.ts'
import { FIXED, PREPARED } from '../steps.ts'
import type { World } from './world.ts'

/** A broker and a database: a batch is given again until it is written. */
export class ConsumerFixedWorld implements World<ConsumerFixedContext> {
  #serial = 0
  #inHand: FixedBatch | null = null
  #prepared: PreparedBatch | null = null
  #isCalm = false
  #writtenInCalm = 0

  command(): AnyEventObject {
    return { type: 'RESET' }
  }

  answer({ service, input }: Call): unknown {
    switch (service) {
      case 'receiveMessageService':
        this.#inHand ??= { ...FIXED, records: this.#serial++ }
        return this.#inHand
      case 'processMessageService':
        assert.equal(input['message'], this.#inHand)
        this.#prepared = { ...PREPARED, rows: this.#inHand?.records ?? -1 }
        return this.#prepared
      default:
        assert.equal(input['record'], this.#prepared, 'what is written is what was prepared last')
        assert.equal(this.#prepared?.rows, this.#inHand?.records)
        this.#inHand = null
        if (this.#isCalm) this.#writtenInCalm++
        return undefined
    }
  }

  check({ currentMessage }: ConsumerFixedContext): void {
    assert.equal(currentMessage, this.#inHand, 'the batch in hand')
  }

  calm(): void {
    this.#isCalm = true
  }

  wake(): undefined {}

  isDone(): boolean {
    return this.#writtenInCalm >= 2
  }
}
