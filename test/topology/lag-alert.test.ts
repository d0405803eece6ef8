import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watchLag } from '../../src/topology/lag-alert.ts'
import { quietLog } from '../quiet.ts'

test('a lag that lasts raises an alert, which ends when it is well less; round the limit nothing flaps', async () => {
  const told: string[] = []
  let isRaised = false
  let clock = 0
  // Each look takes a second of the clock; undefined is a broker that is away.
  const counts = [120, 0, 120, 80, undefined, 120, 130, 90, 110, 90, 51, 50, 90, 0]
  const { promise: over, resolve } = Promise.withResolvers<void>()
  const watch = watchLag(
    {
      async countUnstored() {
        clock += 1_000
        const [count] = counts.splice(0, 1)
        if (counts.length === 0) resolve()
        if (count === undefined && counts.length > 0) throw new Error('away')
        return count ?? 0
      },
      alerts: {
        raise(_id, code, message) {
          if (!isRaised) told.push(`${clock / 1_000} ${code} ${message}`)
          isRaised = true
        },
        clear() {
          if (isRaised) told.push(`${clock / 1_000} over`)
          isRaised = false
        },
      },
      ...{ log: quietLog, limit: 100, afterMs: 4_000, now: () => clock },
    },
    1,
  )
  await over
  await watch.close()
  assert.deepEqual(told, ['7 LAG_HIGH the database is 130 records behind the fixed topics', '12 over'])
})
