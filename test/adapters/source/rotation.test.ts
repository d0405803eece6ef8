import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createRecorder } from '../../../src/adapters/source/recording/recorder.ts'
import { createReplaySource } from '../../../src/adapters/source/replay.ts'
import { eventsOf, pull, recordingLog, until } from './waiting.ts'

const BEGAN = 1_790_000_000_000_000
const COUNT = 50

const frame = (id: number) =>
  Buffer.from(
    JSON.stringify({
      ...{ type: 'match', trade_id: id, side: 'buy', size: '1', price: '2', product_id: 'BTC-USD' },
      time: new Date(BEGAN / 1_000 + id * 1_000).toISOString(),
    }),
  )

/** Records a trade a second, and plays all files as one recording. */
async function recorded(
  t: TestContext,
  limits: { readonly rotateBytes?: number; readonly rotateMs?: number },
): Promise<{ readonly files: readonly string[]; readonly ids: readonly string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-rotation-'))
  t.after(() => rm(folder, { recursive: true }))
  const recorder = createRecorder({
    ...{ folder, name: 'coinbase', source: 'coinbase', channels: ['trade'], compression: undefined },
    markets: [{ exchange: 'coinbase', symbol: 'BTC-USD' }],
    ...{ rotateBytes: Number.MAX_SAFE_INTEGER, rotateMs: 86_400_000, ...limits, now: () => BEGAN },
  })
  recorder.opened(BEGAN)
  const sizeOf = (path: string | undefined) =>
    path !== undefined && existsSync(path) ? statSync(path).size : 0
  for (let id = 0; id < COUNT; id++) {
    const before = sizeOf(recorder.counts.files.at(-1))
    const { length } = recorder.counts.files
    recorder.received(frame(id), BEGAN + id * 1_000_000)
    // What counts is what is on the disk.
    await until('the frame is written', () => {
      const { files } = recorder.counts
      return sizeOf(files.at(-1)) > (files.length === length ? before : 0)
    })
  }
  await recorder.close()
  assert.equal(recorder.counts.frames, COUNT)
  const { files } = recorder.counts
  const source = createReplaySource({ paths: files, speed: 'fastest', log: recordingLog() })
  t.after(() => source.close())
  const items = await pull(source, 'the replay ends', () => source.ended)
  assert.equal(source.health().counters.malformed, 0)
  return { files: files.map((path) => basename(path)), ids: eventsOf(items, 'trade').map(({ id }) => id) }
}

const ALL = Array.from({ length: COUNT }, (_, id) => String(id))

for (const [what, limits, least] of [
  ['size', { rotateBytes: 1_000 }, 3],
  ['age', { rotateMs: 10_000 }, 5],
] as const)
  test(`a recording goes on in another file by its ${what}, and all files together are one recording`, async (t) => {
    const { files, ids } = await recorded(t, limits)
    assert.ok(files.length >= least && files.length < COUNT, `${files.length} files`)
    assert.deepEqual(files, files.toSorted(), 'their names are in order')
    assert.equal(new Set(files).size, files.length)
    assert.deepEqual(ids, ALL)
  })

test('below its limits a recording is one file', async (t) => {
  const { files, ids } = await recorded(t, {})
  assert.equal(files.length, 1)
  assert.deepEqual(ids, ALL)
})
