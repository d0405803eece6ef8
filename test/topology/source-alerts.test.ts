import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MarketWithoutData, SourceHealth } from '../../src/ports/source.ts'
import { createAlerts } from '../../src/telemetry/alerts.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { watchSources } from '../../src/topology/source-alerts.ts'

const COUNTERS = {
  frames: 0,
  malformed: 0,
  duplicates: 0,
  outOfOrder: 0,
  reconnects: 0,
  conflated: 0,
  dropped: 0,
  bookDoubts: 0,
  bookResyncs: 0,
}

describe('the alert of markets without data', () => {
  test('names them while there are any, and ends with the last one', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const log = createLog({ level: 'error', sink: { write: () => undefined } })
    const alerts = createAlerts({ log, meter: createMeter() })
    let without: readonly MarketWithoutData[] = []
    const health = (): SourceHealth => ({
      name: 'x',
      way: 'websocket',
      markets: 3,
      counters: COUNTERS,
      without,
    })
    const watch = watchSources({ health }, alerts, { alertAfterMs: 0 })
    t.mock.timers.tick(1_000)
    assert.deepEqual(alerts.list(), [])
    without = [
      { exchange: 'coinbase', symbol: 'LOST-USD', why: 'MARKET_UNKNOWN: not named' },
      { exchange: 'coinbase', symbol: 'HALF-USD', why: 'CHANNEL_UNKNOWN: candle: refused' },
    ]
    t.mock.timers.tick(1_000)
    assert.deepEqual(
      alerts.list().map(({ code, message }) => ({ code, message })),
      [
        {
          code: 'MARKET_UNKNOWN',
          message:
            'x gives no data of coinbase:LOST-USD (MARKET_UNKNOWN: not named), coinbase:HALF-USD (CHANNEL_UNKNOWN: candle: refused)',
        },
      ],
    )
    without = []
    t.mock.timers.tick(1_000)
    assert.deepEqual(alerts.list(), [])
    watch.stop()
  })
})

test('one source of several that is away raises an alert of its own, until it delivers again', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const log = createLog({ level: 'error', sink: { write: () => undefined } })
  const alerts = createAlerts({ log, meter: createMeter() })
  let isAway = true
  const health = (name: string, way: SourceHealth['way']): SourceHealth => ({
    ...{ name, way, markets: 1, counters: COUNTERS, without: [] },
    ...(way === 'none' && { failure: { code: 'SOURCE_STALE', message: 'nothing came' } }),
  })
  const group = (): SourceHealth => ({
    ...health('sources', 'websocket'),
    members: [health('okx', 'websocket'), health('kraken', isAway ? 'none' : 'websocket')],
  })
  const watch = watchSources({ health: group }, alerts, { alertAfterMs: 0 })
  t.mock.timers.tick(1_000)
  assert.deepEqual(
    alerts.list().map(({ id, code, message }) => ({ id, code, message })),
    [
      {
        ...{ id: 'source-kraken', code: 'SOURCE_STALE' },
        message: 'kraken is away, the other sources go on: nothing came',
      },
    ],
  )
  isAway = false
  t.mock.timers.tick(1_000)
  assert.deepEqual(alerts.list(), [])
  watch.stop()
})
