import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requireServer } from '../servers/availability.ts'
import { kafkaMissing } from '../servers/kafka.ts'
import { postgresMissing } from '../servers/postgres.ts'
import { runChaos } from './chaos.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)

test(`kills, zombies and cut connections: nothing lost, nothing twice, no silent hole (seed ${SEED})`, {
  ...requireServer(kafkaMissing() ?? postgresMissing()),
  timeout: 230_000,
}, async (t) => {
  const { violations, logs } = await runChaos(
    { seed: SEED, forMs: 30_000, everyMs: 3_500, rate: 200, print: (line) => t.diagnostic(line) },
    t.signal,
  )
  assert.deepEqual(violations, [], `logs: ${logs}`)
})
