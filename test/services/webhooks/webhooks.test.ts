import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { bodiesOf, NEVER, numbersOf, range, STREAM, setUp } from './world.ts'

test('events come in order, in messages as large as was asked for, each once', async (t) => {
  const { start, webhook, publish, receiver } = await setUp(t)
  await publish(0, 25)
  await webhook()
  const { roster } = await start('a')
  await receiver.until(() => numbersOf(receiver).length >= 25)
  await publish(25, 40)
  await receiver.until(() => numbersOf(receiver).length >= 40)
  assert.deepEqual(numbersOf(receiver), range(0, 40))
  const bodies = bodiesOf(receiver)
  assert.ok(
    bodies.every(({ op, stream, events }) => op === 'data' && stream === STREAM && events.length <= 10),
  )
  assert.ok(bodies.some(({ events }) => events.length === 10))
  assert.deepEqual(
    roster.list().map(({ id }) => id),
    ['consumer-dynamic:webhook:hook'],
  )
})

test('events wait for others that go with them', async (t) => {
  const { start, webhook, publish, receiver } = await setUp(t)
  await webhook({ maxWaitMs: 300, maxEvents: 1_000 })
  await start('a')
  for (let i = 0; i < 20; i++) await publish(i, i + 1)
  await receiver.until(() => numbersOf(receiver).length >= 20)
  assert.deepEqual(numbersOf(receiver), range(0, 20))
  assert.ok(receiver.received.length < 20, `${receiver.received.length} messages`)
})

test('a receiver that fails gets the same message under the same id, until it takes it, and nothing besides', async (t) => {
  const { start, webhook, publish, receiver } = await setUp(t)
  let failures = 2
  const seen = Promise.withResolvers<void>()
  receiver.answer(async (response) => {
    // The second attempt is under way until the failure of the first has been seen.
    if (failures === 1) await seen.promise
    response.writeHead(failures-- > 0 ? 500 : 200).end()
  })
  await publish(0, 30)
  await webhook()
  const { webhooks } = await start('a')
  await receiver.until(({ length }) => length === 1)
  await until(
    'it shows',
    async () => (await webhooks.find('hook', NEVER))?.failure?.code === 'WEBHOOK_FAILED',
  )
  assert.equal((await webhooks.find('hook', NEVER))?.state, 'failing')
  seen.resolve()
  await receiver.until(() => numbersOf(receiver).length >= 30)
  const ids = receiver.received.map(({ headers }) => headers['webhook-id'])
  assert.equal(ids.length, 5)
  assert.equal(new Set(ids.slice(0, 3)).size, 1)
  assert.equal(new Set(receiver.received.slice(0, 3).map(({ body }) => body)).size, 1)
  assert.deepEqual(numbersOf(receiver), range(0, 30))
  await until('it shows', async () => (await webhooks.find('hook', NEVER))?.state === 'active')
  assert.ok(((await webhooks.find('hook', NEVER))?.deliveredAt ?? 0) > 0)
})

test('410 pauses a webhook with an alert; a command resumes it where it was', async (t) => {
  const { start, webhook, publish, receiver } = await setUp(t)
  receiver.answer((response) => response.writeHead(410).end())
  await publish(0, 5)
  await webhook()
  const { webhooks, alerts } = await start('a')
  await until('the alert', () => alerts.list().length > 0)
  assert.deepEqual(
    alerts.list().map(({ id, code }) => [id, code]),
    [['webhook:hook', 'WEBHOOK_GONE']],
  )
  const paused = await webhooks.find('hook', NEVER)
  assert.deepEqual([paused?.state, paused?.failure?.code], ['paused', 'WEBHOOK_GONE'])
  assert.equal(receiver.received.length, 1)
  receiver.answer((response) => response.end())
  await webhook({ revision: 1 })
  await receiver.until(({ length }) => length === 2)
  const [first, second] = receiver.received
  assert.deepEqual([second?.headers['webhook-id'], second?.body], [first?.headers['webhook-id'], first?.body])
  await until('no alert is left', () => alerts.list().length === 0)
})

test('a receiver that fails for too long is paused, also by a process that comes later', async (t) => {
  const { start, webhook, publish, receiver } = await setUp(t)
  receiver.answer((response) => response.writeHead(302, { location: receiver.url }).end())
  await publish(0, 5)
  await webhook()
  const first = await start('a', { pauseAfterMs: 1_500 })
  await until('the alert', () => first.alerts.list().some(({ message }) => message.includes('is paused')))
  assert.ok(receiver.received.length >= 2)
  assert.equal((await first.webhooks.find('hook', NEVER))?.state, 'paused')
  await first.leave()
  const attempts = receiver.received.length
  const second = await start('b')
  await until('the alert', () => second.alerts.list().length > 0)
  assert.equal(receiver.received.length, attempts)
})

test('a command pauses and resumes; what came meanwhile follows', async (t) => {
  const { start, webhook, publish, receiver } = await setUp(t)
  await webhook()
  const { roster } = await start('a')
  await publish(0, 5)
  await receiver.until(() => numbersOf(receiver).length >= 5)
  await webhook({ revision: 1, paused: true })
  await until('it has stopped', () => roster.list().length === 0)
  await publish(5, 10)
  await webhook({ revision: 2 })
  await receiver.until(() => numbersOf(receiver).length >= 10)
  assert.deepEqual(numbersOf(receiver), range(0, 10))
})

test('the end of the stream is a message of its own, and the last one', async (t) => {
  const { start, webhook, publish, receiver, endLease } = await setUp(t)
  await webhook()
  const { webhooks } = await start('a')
  await publish(0, 5)
  await receiver.until(() => numbersOf(receiver).length >= 5)
  await endLease()
  await receiver.until(() => bodiesOf(receiver).some(({ op }) => op === 'end'))
  assert.deepEqual(bodiesOf(receiver).at(-1), { op: 'end', stream: STREAM, reason: 'deleted' })
  await until('it has ended', async () => (await webhooks.find('hook', NEVER))?.state === 'ended')
})

test('a reset is a message of its own, in its place, and comes once by its id over a failure', async (t) => {
  const { start, webhook, publish, tellReset, receiver } = await setUp(t)
  await publish(0, 3)
  await tellReset('history is gone')
  await publish(3, 6)
  let failures = 1
  receiver.answer((response, { body }) => {
    response.writeHead(body.includes('"reset"') && failures-- > 0 ? 503 : 200).end()
  })
  await webhook()
  await start('a')
  await receiver.until(() => numbersOf(receiver).length >= 6)
  const byId = new Map(receiver.received.map(({ headers, body }) => [headers['webhook-id'], body]))
  assert.deepEqual(
    [...byId.values()].map((body) => JSON.parse(body)),
    [
      { op: 'data', stream: STREAM, events: [0, 1, 2] },
      { op: 'reset', stream: STREAM, reason: 'history is gone' },
      { op: 'data', stream: STREAM, events: [3, 4, 5] },
    ],
  )
  assert.equal(receiver.received.length, 4)
})

test('one that ended while nobody served it hears so too', async (t) => {
  const { start, webhook, receiver, endLease } = await setUp(t)
  await webhook()
  await endLease()
  await start('a')
  await receiver.until(({ length }) => length > 0)
  assert.equal(bodiesOf(receiver)[0]?.op, 'end')
})

test('a receiver that hangs is given up after the time it has, and asked again', async (t) => {
  const { start, webhook, publish, receiver } = await setUp(t)
  receiver.answer(() => receiver.answer((response) => response.end()))
  await publish(0, 5)
  await webhook()
  await start('a', { timeoutMs: 100 })
  await receiver.until(({ length }) => length === 2)
  assert.deepEqual(numbersOf(receiver), range(0, 5))
})
