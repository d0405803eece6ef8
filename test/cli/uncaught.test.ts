import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { makeFolder, startCommand, until } from '../e2e/platform-process.ts'

/** Throws in the middle of the event loop when the signal comes, as a driver's defect would. */
const DEFECT = "process.on('SIGUSR2', () => { throw new TypeError(process.env.DEFECT) })"

test('an error that nobody caught is logged with its code, and the process ends in order with exit code 1', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const child = startCommand(['simulate', '--port', '0'], {
    DEFECT: 'a defect, password=hunter22',
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(DEFECT)}`,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (output += text))
  await until('the simulator runs', () => output.includes('http://'))
  child.kill('SIGUSR2')
  const [code] = (await once(child, 'close')) as [number | null]
  assert.equal(code, 1, output)
  const logged = output.split('\n').find((line) => line.includes('nobody caught'))
  assert.ok(logged, output)
  const {
    level,
    code: named,
    err,
  } = JSON.parse(logged) as { level: string; code: string; err: { type: string } }
  assert.deepEqual([level, named, err.type], ['error', 'INTERNAL', 'TypeError'])
  assert.ok(!output.includes('hunter22'), 'no secret is told')
})
