import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logInterruption } from '../../src/control/interruption.ts'
import { TapelineError } from '../../src/errors.ts'
import type { Log } from '../../src/ports/log.ts'
import { quietLog } from '../quiet.ts'

test('work that fails again and again has one line when that begins, and one when it works again', () => {
  const lines: [fields: Readonly<Record<string, unknown>>, text: string][] = []
  const log: Log = { ...quietLog, warn: (fields, text = '') => void lines.push([{ ...fields }, text]) }
  const { begin, end } = logInterruption(log, { began: 'cannot', ended: 'can again' }, { topic: 'a' })
  end()
  begin(AbortSignal.abort().reason)
  assert.equal(lines.length, 0)
  for (let failures = 0; failures < 3; failures++) begin(new TapelineError('BROKER_UNAVAILABLE', 'no answer'))
  end()
  end()
  begin(new TapelineError('TIMEOUT', 'too late'))
  const [first, second, third] = lines
  assert.deepEqual(first, [{ topic: 'a', code: 'BROKER_UNAVAILABLE', reason: 'no answer' }, 'cannot'])
  const { forMs, ...fields } = second?.[0] ?? {}
  assert.deepEqual([fields, second?.[1]], [{ topic: 'a', code: 'BROKER_UNAVAILABLE' }, 'can again'])
  assert.equal(typeof forMs, 'number')
  assert.deepEqual([third?.[1], lines.length], ['cannot', 3])
})
