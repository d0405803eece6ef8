import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoreJob } from '../../src/ports/store.ts'
import { createAlerts } from '../../src/telemetry/alerts.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { tendStoreJobs } from '../../src/topology/store-jobs.ts'
import { quietLog } from '../quiet.ts'

test('a job of the database that fails raises an alert, a metric and one line in the log, until it succeeds', async () => {
  const meter = createMeter()
  const lines: unknown[] = []
  const log = { ...quietLog, warn: (...line: unknown[]) => void lines.push(line) }
  const alerts = createAlerts({ log: quietLog, meter })
  const good = { name: 'retention', failure: undefined }
  const bad = { name: 'policy_compression on trades', failure: 'no such thing (0A000)' }
  const answers: (readonly StoreJob[] | Error)[] = [
    [good],
    [good, bad],
    new Error('away'),
    [good, bad],
    [good],
  ]
  const seen: unknown[] = []
  const { promise: over, resolve } = Promise.withResolvers<void>()
  const tended = tendStoreJobs(
    {
      store: {
        async tendJobs() {
          seen.push(alerts.list().map(({ code, message }) => `${code} ${message}`))
          const next = answers.shift()
          if (next === undefined) resolve()
          if (next instanceof Error) throw next
          return next ?? [good]
        },
      },
      ...{ alerts, log, meter },
    },
    1,
  )
  await over
  await tended.close()
  const alert = ['STORE_JOBS_FAILING policy_compression on trades: no such thing (0A000)']
  assert.deepEqual(seen.slice(0, 6), [[], [], alert, alert, alert, []])
  assert.deepEqual(lines, [[{ job: bad.name, code: 'STORE_JOBS_FAILING' }, bad.failure]])
  assert.match(await meter.render(), /tapeline_store_jobs_failing 0/)
})
