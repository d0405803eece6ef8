import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { delay } from '../../../src/async/timers.ts'
import type { Receiver } from '../../adapters/transport/webhook/receiver.ts'
import { until } from '../until.ts'
import { numbersOf, range, setUp } from './world.ts'

const TIMEOUT_MS = 200

/** Has the receiver take its time, and watches that it never has two requests at once. */
function watchOverlaps(receiver: Receiver): () => number {
  let open = 0
  let most = 0
  receiver.answer(async (response) => {
    most = Math.max(most, ++open)
    response.once('close', () => open--)
    await delay(10)
    response.end()
  })
  return () => most
}

async function openWorld(t: TestContext) {
  const world = await setUp(t)
  const overlaps = watchOverlaps(world.receiver)
  return { ...world, overlaps }
}

test('another gateway goes on from the cursor of one that was killed, under the same id', async (t) => {
  const { start, webhook, publish, receiver } = await setUp(t)
  receiver.answer(() => undefined)
  await publish(0, 15)
  await webhook()
  const first = await start('a', { timeoutMs: 60_000 })
  await receiver.until(({ length }) => length === 1)
  const [interrupted] = receiver.received
  receiver.answer((response) => response.end())
  await first.broker.kill()
  await start('b', { timeoutMs: TIMEOUT_MS })
  await receiver.until(() => numbersOf(receiver).length >= 15)
  const again = receiver.received[1]
  assert.deepEqual(
    [again?.headers['webhook-id'], again?.body],
    [interrupted?.headers['webhook-id'], interrupted?.body],
  )
  assert.deepEqual(numbersOf(receiver), range(0, 15))
})

test('one that leaves in order is followed at once, and the former one sends nothing any more', async (t) => {
  const { start, webhook, publish, receiver, overlaps } = await openWorld(t)
  await publish(0, 50)
  await webhook({ maxEvents: 2 })
  const first = await start('a', { timeoutMs: 60_000 })
  await receiver.until(({ length }) => length >= 3)
  await first.leave()
  const sent = receiver.received.length
  // With the rest after a killed one this would take a minute.
  await start('b', { timeoutMs: 60_000 })
  await receiver.until(() => numbersOf(receiver).length >= 50)
  assert.ok(receiver.received.length > sent)
  assert.equal(overlaps(), 1)
  assert.deepEqual(numbersOf(receiver), range(0, 50))
})

test('one that stood still sends nothing once another has taken over, and never do two send at once', async (t) => {
  const { start, webhook, publish, receiver, overlaps } = await openWorld(t)
  await webhook({ maxEvents: 3 })
  const gateways = [
    await start('a', { timeoutMs: TIMEOUT_MS }),
    await start('b', { timeoutMs: TIMEOUT_MS }),
  ] as const
  let published = 0
  for (let round = 0; round < 4; round++) {
    await publish(published, published + 20)
    published += 20
    await receiver.until(() => numbersOf(receiver).length >= published - 10)
    const owner = gateways.find(({ roster }) => roster.list().length > 0) ?? gateways[0]
    await owner.broker.freeze()
    const other = gateways.find((each) => each !== owner)
    await until('the other has it', () => (other?.roster.list().length ?? 0) > 0)
    await owner.broker.thaw()
    await receiver.until(() => numbersOf(receiver).length >= published)
  }
  assert.equal(overlaps(), 1)
  assert.deepEqual(numbersOf(receiver), range(0, published))
})

test('a write that the broker refuses interrupts nothing but itself', async (t) => {
  const { start, webhook, publish, receiver, overlaps } = await openWorld(t)
  await webhook({ maxEvents: 3 })
  const { broker } = await start('a', { timeoutMs: TIMEOUT_MS })
  let calls = 0
  broker.beforeCommit = async () => {
    if (++calls % 7 === 0) throw new Error('the outcome is unknown')
  }
  await publish(0, 60)
  await receiver.until(() => numbersOf(receiver).length >= 60)
  assert.equal(overlaps(), 1)
  assert.deepEqual(numbersOf(receiver), range(0, 60))
})
