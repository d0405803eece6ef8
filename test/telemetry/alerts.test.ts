import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { createAlerts } from '../../src/telemetry/alerts.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMeter } from '../../src/telemetry/meter.ts'

function setup() {
  const lines: Record<string, unknown>[] = []
  const log = createLog({ level: 'info', sink: { write: (line) => lines.push(JSON.parse(line)) } })
  const meter = createMeter()
  let time = Date.parse('2026-01-01T00:00:00Z')
  const alerts = createAlerts({ log, meter, now: () => time })
  return {
    alerts,
    meter,
    lines,
    pass: (millis: number) => {
      time += millis
    },
  }
}

describe('createAlerts', () => {
  test('lists what lasts, the oldest first, and forgets what is over', () => {
    const { alerts, pass } = setup()
    alerts.raise('producer', 'SOURCE_UNAVAILABLE', 'no way delivers')
    pass(1000)
    alerts.raise('fixed', 'STORE_UNAVAILABLE', 'no answer')
    assert.deepEqual(alerts.list(), [
      {
        id: 'producer',
        code: 'SOURCE_UNAVAILABLE',
        message: 'no way delivers',
        since: '2026-01-01T00:00:00.000Z',
      },
      { id: 'fixed', code: 'STORE_UNAVAILABLE', message: 'no answer', since: '2026-01-01T00:00:01.000Z' },
    ])
    alerts.clear('producer')
    assert.deepEqual(
      alerts.list().map(({ id }) => id),
      ['fixed'],
    )
  })

  test('raising again renews the message, keeps since, and is logged and counted once a code', async () => {
    const { alerts, pass, lines, meter } = setup()
    alerts.raise('producer', 'SOURCE_UNAVAILABLE', 'first')
    pass(5000)
    alerts.raise('producer', 'SOURCE_UNAVAILABLE', 'second')
    alerts.raise('producer', 'SOURCE_STALE', 'third')
    assert.deepEqual(alerts.list(), [
      { id: 'producer', code: 'SOURCE_STALE', message: 'third', since: '2026-01-01T00:00:00.000Z' },
    ])
    assert.deepEqual(
      lines.map(({ level, code }) => [level, code]),
      [
        ['warn', 'SOURCE_UNAVAILABLE'],
        ['warn', 'SOURCE_STALE'],
      ],
    )
    const text = await meter.render()
    assert.match(text, /^tapeline_alerts_total\{code="SOURCE_UNAVAILABLE"\} 1$/m)
    assert.match(text, /^tapeline_alerts 1$/m)
  })

  test('clearing logs the end once; clearing what is not there does nothing', async () => {
    const { alerts, lines, meter } = setup()
    alerts.clear('nobody')
    alerts.raise('producer', 'SOURCE_STALE', 'silent')
    alerts.clear('producer')
    alerts.clear('producer')
    assert.deepEqual(
      lines.map(({ level, alert }) => [level, alert]),
      [
        ['warn', 'producer'],
        ['warn', 'producer'],
      ],
    )
    assert.match(await meter.render(), /^tapeline_alerts 0$/m)
  })

  test('what happens and does not last ends when it was not renewed for a while, once', (t) => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.after(() => mock.timers.reset())
    const { alerts, lines } = setup()
    alerts.raise('gaps', 'GAP_FLAGGED', 'one', 1_000)
    mock.timers.tick(900)
    alerts.raise('gaps', 'GAP_FLAGGED', 'two', 1_000)
    mock.timers.tick(900)
    assert.deepEqual(
      alerts.list().map(({ message }) => message),
      ['two'],
    )
    mock.timers.tick(100)
    assert.deepEqual(alerts.list(), [])
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['alert: one', 'alert is over'],
    )
    alerts.raise('gaps', 'GAP_FLAGGED', 'three', 1_000)
    alerts.raise('gaps', 'GAP_FLAGGED', 'lasts')
    mock.timers.tick(5_000)
    assert.equal(alerts.list().length, 1, 'without a time it lasts')
    alerts.raise('gaps', 'GAP_FLAGGED', 'four', 1_000)
    alerts.clear('gaps')
    alerts.raise('gaps', 'GAP_FLAGGED', 'lasts')
    mock.timers.tick(5_000)
    assert.equal(alerts.list().length, 1, 'what was cleared ends no later one')
  })
})
