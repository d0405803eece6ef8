import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { watchHeaps } from '../../src/topology/heaps.ts'
import { until } from '../services/until.ts'

test('the heaps of a process are that of its main thread and those of its engines, while they run', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-heaps-'))
  t.after(() => rm(folder, { recursive: true }))
  const heaps = watchHeaps(undefined)
  const threads = () => heaps().map(({ thread }) => thread)
  const broker = await openEmbeddedBroker({ folder })
  await until('the thread is seen', () => threads().length === 2)
  assert.deepEqual(threads(), [undefined, 'broker'])
  for (const { usedBytes, limitBytes } of heaps()) assert.ok(usedBytes > 0 && usedBytes < limitBytes)
  await broker.close()
  await until('its end is seen', () => threads().length === 1)
})

test('a limit that is set holds for each', () => {
  assert.deepEqual(
    watchHeaps(1_000)().map(({ limitBytes }) => limitBytes),
    [1_000],
  )
})
