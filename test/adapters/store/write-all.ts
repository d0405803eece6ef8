import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { toTapelineError } from '../../../src/errors.ts'
import type { Store } from '../../../src/ports/store.ts'
import {
  claimOne,
  deadline,
  MIDNIGHT,
  quote,
  segment,
  trade,
  writeOf,
} from '../../contract/store-fixtures.ts'

const AWAY = ['STORE_UNAVAILABLE', 'TIMEOUT']

/** Numbers from 0 to 1 that follow from a seed. */
export function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Does something until it does not fail for want of the server. */
export async function untilThere<T>(attempt: () => Promise<T>): Promise<T> {
  const end = deadline()
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (end.aborted || !AWAY.includes(toTapelineError(error).code)) throw error
      await delay(10)
    }
  }
}

/** Writes a partition to the end, claiming it again whenever the outcome of a write is not known. */
export async function writeAll(
  store: Store,
  topic: string,
  partition: number,
  end: number,
  random: () => number,
) {
  let failures = 0
  let claim = await untilThere(() => claimOne(store, topic, partition))
  while (claim.nextOffset < end) {
    const count = Math.min(end - claim.nextOffset, 1 + Math.floor(random() * 1500))
    const offsets = Array.from({ length: count }, (_, i) => claim.nextOffset + i)
    const market = { exchange: 'coinbase', symbol: `${topic}-${partition}` }
    const trades = offsets.map((offset) => trade({ ...market, id: String(offset), ts: MIDNIGHT + offset }))
    const quotes = offsets.map((offset) => quote({ ...market, last: offset }))
    const rows = [
      segment('trade', trades),
      segment('trade', trades.slice(0, 3), true),
      segment('quote', quotes),
    ]
    try {
      const [next] = await store.write([writeOf(claim, count, ...rows)], deadline())
      assert.ok(next)
      claim = next
    } catch (error) {
      assert.ok(AWAY.includes(toTapelineError(error).code), String(error))
      failures++
      claim = await untilThere(() => claimOne(store, topic, partition))
    }
  }
  return failures
}
