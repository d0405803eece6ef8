import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MarketWithoutData, SourceHealth } from '../../src/ports/source.ts'
import { createAlerts } from '../../src/telemetry/alerts.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { watchMarkets } from '../../src/topology/market-alert.ts'

const COUNTERS = {
  frames: 0,
  malformed: 0,
  duplicates: 0,
  outOfOrder: 0,
  reconnects: 0,
  conflated: 0,
  dropped: 0,
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
    const watch = watchMarkets({ health }, alerts)
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
