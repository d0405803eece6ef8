import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { TapelineError } from '../../../src/errors.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

const STREAMS = 300
const names = Array.from({ length: STREAMS }, (_, i) => `app.s${i}`)

test('hundreds of streams that a new owner has to prepare one by one take few steps', async (t) => {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  const former = await setUp(t, broker)
  for (const [i, name] of names.entries())
    await former.announce(name, ['A-*'], 0, 'trade', { where: `size > ${-i}` })
  await former.services.publishFixed(trades('A-A', 'a1'), NEVER)
  await former.derive()
  await former.crash()

  const { services, mine, state, idsIn } = await setUp(t, broker)
  await services.publishFixed(trades('A-A', 'a2'), NEVER)
  mine.beforePublish = async (entries) => {
    if (!entries.some(({ topic }) => topic.startsWith('app.'))) return
    mine.beforePublish = async () => undefined
    throw new TapelineError('BROKER_UNAVAILABLE', 'nobody knows which topic it was')
  }
  let steps = 0
  while ((await services.publishDynamic(NEVER)).dynamicWaiting) steps++
  assert.ok(steps < STREAMS / 20, `${steps} steps`)
  assert.equal(state.listed, 0, 'nobody asks for the whole cluster')
  for (const name of [names[0], names[150], names[299]])
    assert.deepEqual(await idsIn(name ?? ''), ['a1', 'a2'])
})
