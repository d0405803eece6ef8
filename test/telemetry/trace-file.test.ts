import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Transition } from '../../src/ports/actors.ts'
import type { Log } from '../../src/ports/log.ts'
import { openTraceFile } from '../../src/telemetry/trace-file.ts'

const transition = (ts: number): Transition => ({
  ts,
  actor: 'a1',
  machine: 'producer',
  from: 'idle',
  event: 'FETCH_DATA',
  to: 'fetchingData',
})

function noted() {
  const errors: string[] = []
  const log: Log = {
    debug() {},
    info() {},
    warn() {},
    error: (_, message) => void errors.push(message),
    child: () => log,
  }
  return { log, errors }
}

async function traceFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-trace-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

async function linesOf(path: string): Promise<unknown[]> {
  const text = await readFile(path, 'utf8')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

test('a closed trace holds every transition in order, whatever the size of the bursts', async (t) => {
  const path = join(await traceFolder(t), 'trace.jsonl')
  const { log, errors } = noted()
  const trace = await openTraceFile(path, log)
  const all = Array.from({ length: 5_000 }, (_, n) => transition(n))
  for (const line of all) {
    trace.write(line)
    if (line.ts % 1_500 === 0) await readFile(path)
  }
  await trace.close()
  assert.deepEqual(await linesOf(path), all)
  assert.deepEqual(errors, [])
})

test('a line reaches the file within a second, without a close', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const path = join(await traceFolder(t), 'trace.jsonl')
  const trace = await openTraceFile(path, noted().log)
  trace.write(transition(1))
  t.mock.timers.tick(999)
  assert.deepEqual(await linesOf(path), [])
  t.mock.timers.tick(1)
  while ((await linesOf(path)).length === 0) await readFile(path)
  assert.deepEqual(await linesOf(path), [transition(1)])
  await trace.close()
})

test('a former trace is replaced', async (t) => {
  const path = join(await traceFolder(t), 'trace.jsonl')
  for (const ts of [1, 2]) {
    const trace = await openTraceFile(path, noted().log)
    trace.write(transition(ts))
    await trace.close()
  }
  assert.deepEqual(await linesOf(path), [transition(2)])
})

test('a disk that cannot be written to ends the trace, is reported once and stops nothing', async () => {
  const { log, errors } = noted()
  const trace = await openTraceFile('/dev/full', log)
  for (let n = 0; n < 5_000; n++) trace.write(transition(n))
  await trace.close()
  trace.write(transition(0))
  assert.deepEqual(errors, ['the trace ends here: it could not be written'])
})

test('a disk that is far behind ends the trace instead of filling the memory', async (t) => {
  const path = join(await traceFolder(t), 'trace.jsonl')
  const { log, errors } = noted()
  const trace = await openTraceFile(path, log)
  // Nothing can be written before this loop gives way.
  for (let n = 0; n < 300_000; n++) trace.write(transition(n))
  await trace.close()
  assert.deepEqual(errors, ['the trace ends here: it could not be written'])
  const lines = await linesOf(path)
  assert.ok(lines.length > 0 && lines.length < 300_000)
})

test('a file that cannot be opened is refused with a remedy', async (t) => {
  const path = join(await traceFolder(t), 'no', 'trace.jsonl')
  await assert.rejects(openTraceFile(path, noted().log), { code: 'DATA_FOLDER_UNUSABLE', remedy: /--trace/ })
})
