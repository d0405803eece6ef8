import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TapelineError } from '../../src/errors.ts'
import { backOffMs, recordFailure, untilAlertMs } from '../../src/machines/failure.ts'

const almostOne = 1 - 2 ** -53

describe('the back-off', () => {
  test('is never shorter than 100 ms', () => {
    for (let attempt = 1; attempt < 100; attempt++)
      assert.equal(
        backOffMs(attempt, () => 0),
        100,
      )
  })

  test('doubles its longest wait with each attempt, up to 30 s', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 50, 1_000_000].map((attempt) =>
      backOffMs(attempt, () => almostOne),
    )
    assert.deepEqual(
      longest,
      [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000, 30_000],
    )
  })

  test('is spread evenly below its longest wait', () => {
    assert.equal(
      backOffMs(9, () => 0.5),
      15_000,
    )
    assert.equal(
      backOffMs(3, () => 0.25),
      200,
    )
  })
})

describe('a recorded failure', () => {
  let now = 1_000
  const settings = { now: () => now, random: () => 0, alertAfterMs: 10_000 }
  const away = new TapelineError('BROKER_UNAVAILABLE', 'the broker is away')

  test('counts on while the same step fails and remembers when that began', () => {
    now = 1_000
    const first = recordFailure(null, 'writingToDB', away, settings)
    assert.deepEqual(first, {
      code: 'BROKER_UNAVAILABLE',
      message: 'the broker is away',
      step: 'writingToDB',
      attempt: 1,
      retryable: true,
      since: 1_000,
    })
    now = 5_000
    const second = recordFailure(first, 'writingToDB', new TapelineError('FENCED', 'other'), settings)
    assert.deepEqual(
      { ...second },
      { ...first, code: 'FENCED', message: 'other', attempt: 2, retryable: second.retryable },
    )
    assert.equal(second.since, 1_000)
  })

  test('begins anew with another step', () => {
    now = 9_000
    const other = recordFailure(
      recordFailure(null, 'writingToDB', away, settings),
      'processingMessage',
      away,
      settings,
    )
    assert.equal(other.attempt, 1)
    assert.equal(other.since, 9_000)
  })

  test('gives a code to whatever was thrown', () => {
    assert.equal(recordFailure(null, 's', 'text', settings).code, 'INTERNAL')
    assert.equal(recordFailure(null, 's', undefined, settings).message, 'undefined')
  })

  test('is due for an alert when it has lasted as long as configured', () => {
    now = 1_000
    const failure = recordFailure(null, 's', away, settings)
    now = 4_000
    assert.equal(untilAlertMs(failure, settings), 7_000)
    now = 20_000
    assert.equal(untilAlertMs(failure, settings), 0)
    assert.ok(untilAlertMs(failure, { ...settings, alertAfterMs: Number.POSITIVE_INFINITY }) < 2 ** 31)
  })
})
