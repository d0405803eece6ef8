import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { createMeter } from '../../src/telemetry/meter.ts'
import { COUNTERS, GAUGES, TIMERS } from '../../src/telemetry/metrics.ts'

describe('createMeter', () => {
  test('renders every metric of the table with help and type', async () => {
    const text = await createMeter().render()
    const kinds = [
      [COUNTERS, 'counter'],
      [GAUGES, 'gauge'],
      [TIMERS, 'histogram'],
    ] as const
    for (const [table, kind] of kinds) {
      for (const [name, { help }] of Object.entries(table)) {
        assert.ok(text.includes(`# HELP tapeline_${name} ${help}\n`), `help of ${name}`)
        assert.ok(text.includes(`# TYPE tapeline_${name} ${kind}\n`), `type of ${name}`)
      }
    }
    assert.match(text, /^process_cpu_user_seconds_total /m)
    assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m)
  })

  test('counts, gauges and times with labels', async () => {
    const meter = createMeter()
    meter.count('alerts_total', 2, { code: 'TIMEOUT' })
    meter.count('alerts_total', 1, { code: 'TIMEOUT' })
    meter.count('reentering_total')
    meter.gauge('sockets', 7)
    meter.gauge('sockets', 5)
    meter.observe('broker_publish_seconds', 0.004, { topics: 'fixed' })
    const text = await meter.render()
    assert.match(text, /^tapeline_alerts_total\{code="TIMEOUT"\} 3$/m)
    assert.match(text, /^tapeline_reentering_total 1$/m)
    assert.match(text, /^tapeline_sockets 5$/m)
    assert.match(text, /^tapeline_broker_publish_seconds_bucket\{le="0.0025",topics="fixed"\} 0$/m)
    assert.match(text, /^tapeline_broker_publish_seconds_bucket\{le="0.005",topics="fixed"\} 1$/m)
    assert.match(text, /^tapeline_broker_publish_seconds_sum\{topics="fixed"\} 0.004$/m)
  })

  test('never throws: unknown labels and impossible values are left out and counted', async () => {
    const meter = createMeter()
    meter.count('alerts_total', 1, { code: 'X', colour: 'red' })
    meter.count('reentering_total', -1)
    meter.gauge('sockets', Number.NaN)
    meter.observe('store_write_seconds', Number.POSITIVE_INFINITY)
    const text = await meter.render()
    assert.match(text, /^tapeline_alerts_total\{code="X"\} 1$/m)
    assert.match(text, /^tapeline_meter_misuse_total\{metric="alerts_total",problem="label colour"\} 1$/m)
    for (const metric of ['reentering_total', 'sockets', 'store_write_seconds']) {
      assert.ok(text.includes(`tapeline_meter_misuse_total{metric="${metric}",problem="value"} 1\n`), metric)
    }
  })

  test('keeps so many sets of labels of a metric, and counts what comes besides under one', async () => {
    const meter = createMeter()
    for (let i = 0; i < 1_200; i++) meter.count('broker_errors_total', 1, { code: `code-${i}` })
    meter.count('broker_errors_total', 1, { code: 'code-7' })
    const text = await meter.render()
    assert.equal(text.match(/^tapeline_broker_errors_total\{/gm)?.length, 1_001)
    assert.match(text, /^tapeline_broker_errors_total\{code="other"\} 200$/m)
    assert.match(text, /^tapeline_broker_errors_total\{code="code-7"\} 2$/m)
    assert.match(text, /^tapeline_meter_misuse_total\{metric="broker_errors_total",problem="labels"\} 200$/m)
  })

  test('two meters do not share numbers, and none keeps the process alive', async () => {
    const module = new URL('../../src/telemetry/meter.ts', import.meta.url).href
    const program = `import { createMeter } from '${module}'
      const [a, b] = [createMeter(), createMeter()]
      a.count('alerts_total', 1, { code: 'TIMEOUT' })
      console.log((await b.render()).includes('TIMEOUT'), (await a.render()).includes('TIMEOUT'))`
    const ran = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      timeout: 20_000,
    })
    assert.equal(ran.stdout, 'false true\n')
  })
})
