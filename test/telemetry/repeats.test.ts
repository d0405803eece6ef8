import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { createLog } from '../../src/telemetry/log.ts'

describe('lines that repeat', () => {
  function capture() {
    const lines: Record<string, unknown>[] = []
    let now = 0
    const log = createLog({
      level: 'debug',
      sink: { write: (line) => lines.push(JSON.parse(line)) },
      now: () => now,
    })
    return { log, lines, pass: (ms: number) => (now += ms) }
  }

  test('come 20 times a minute, then once with how many were left out', () => {
    const { log, lines, pass } = capture()
    for (let i = 0; i < 100; i++) log.warn({ i }, 'again')
    log.warn({}, 'another')
    log.error({}, 'again')
    assert.equal(lines.length, 22, 'other messages and levels are other kinds')
    assert.ok(lines.every((line) => line['leftOut'] === undefined))
    pass(60_000)
    log.warn({ i: 'new' }, 'again')
    assert.deepEqual(
      lines.slice(22).map(({ i, leftOut }) => ({ i, leftOut })),
      [
        { i: 99, leftOut: 79 },
        { i: 'new', leftOut: undefined },
      ],
    )
  })

  test('that were left out are told at the end of the minute, also when nothing follows', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { log, lines, pass } = capture()
      for (let i = 0; i < 25; i++) log.child({ part: 'store' }).warn({ i }, 'again')
      pass(60_000)
      mock.timers.tick(60_000)
      assert.equal(lines.length, 21)
      const { part, i, leftOut } = lines.at(-1) ?? {}
      assert.deepEqual({ part, i, leftOut }, { part: 'store', i: 24, leftOut: 4 })
    } finally {
      mock.timers.reset()
    }
  })

  test('are all written for debugging', () => {
    const { log, lines } = capture()
    for (let i = 0; i < 100; i++) log.debug({ i }, 'transition')
    assert.equal(lines.length, 100)
  })

  test('have a bound on their kinds, and none is lost beyond it', () => {
    const { log, lines } = capture()
    for (let i = 0; i < 5_000; i++) log.warn({}, `kind ${i}`)
    assert.equal(lines.length, 5_000)
  })
})
