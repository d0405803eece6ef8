import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSampledWarning } from '../../../src/services/producer/sampled-warning.ts'
import { quietLog } from '../../quiet.ts'

test('it warns the first time, and then once a minute at most, with how many there were', () => {
  const clock = { ms: 0 }
  const warned: object[] = []
  const log = { ...quietLog, warn: (fields: object) => warned.push(fields) }
  const warn = createSampledWarning({ log, now: () => clock.ms })
  const occur = (): void => warn((count) => ({ count }), 'again')
  occur()
  clock.ms = 59_999
  occur()
  occur()
  assert.deepEqual(warned, [{ count: 1 }])
  clock.ms = 60_000
  occur()
  assert.deepEqual(warned, [{ count: 1 }, { count: 4 }])
  occur()
  assert.equal(warned.length, 2)
})
