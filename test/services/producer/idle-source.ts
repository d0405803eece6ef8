import { setTimeout as delay } from 'node:timers/promises'
import type { Source } from '../../../src/ports/source.ts'

/** A source that never gives anything. */
export const idleSource: Source = {
  name: 'idle',
  next: async ({ waitMs }, signal) => delay(waitMs, { items: [] }, { signal }),
  ended: false,
  subscribe() {},
  unsubscribe() {},
  health: () => {
    throw new Error('not asked for here')
  },
  async close() {},
}
