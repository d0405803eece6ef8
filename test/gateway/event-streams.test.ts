import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openEvents } from './event-client.ts'
import { assertProblem, call } from './http.ts'
import { startPlatform } from './platform.ts'

const eventsOf = (url: string, query = ''): string => `${url}/v1/streams/s1/events${query}`
const frame = (cursor: string, ...events: number[]): [Buffer, string] => [
  Buffer.from(JSON.stringify({ op: 'data', stream: 's1', cursor, events })),
  cursor,
]

/** Waits, a turn of the event loop at a time, until something holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate)
}

describe('server-sent events of a stream', () => {
  test('each message is an event, whose id is the cursor after it', async (t) => {
    const { url, delivery } = await startPlatform(t)
    const client = await openEvents(t, eventsOf(url))
    const subscribed = { op: 'subscribed', stream: 's1', topic: 'app.s1' }
    const first = await client.next()
    assert.deepEqual({ ...first?.data, cursor: undefined }, { ...subscribed, cursor: undefined })
    const [connection = assert.fail()] = delivery.connections
    assert.equal(connection.app, 'local')
    connection.endpoint.sendEncoded(...frame('c8', 1, 2), 2)
    connection.endpoint.send({ op: 'reset', stream: 's1', reason: 'gone', cursor: 'c9' })
    assert.deepEqual(await client.next(), {
      id: 'c8',
      data: { op: 'data', stream: 's1', cursor: 'c8', events: [1, 2] },
    })
    assert.deepEqual(await client.next(), {
      id: 'c9',
      data: { op: 'reset', stream: 's1', reason: 'gone', cursor: 'c9' },
    })
  })

  test('a client says what becomes of it where it is too slow, and when to cut it off it is', async (t) => {
    const { url, delivery } = await startPlatform(t)
    const client = await openEvents(t, eventsOf(url, '?slow=disconnect'))
    await client.next()
    assert.deepEqual(delivery.slow, ['disconnect'])
    assertProblem(await call(eventsOf(url, '?slow=down')), 'INPUT_INVALID')
    delivery.connections[0]?.endpoint.disconnect?.()
    await until(() => delivery.connections[0]?.closed === true)
  })

  for (const [what, headers, query, expected] of [
    ['with what comes next', {}, '', undefined],
    ['at the last id', { 'last-event-id': 'c7' }, '', 'c7'],
    ['at a cursor', {}, '?cursor=c6', 'c6'],
    ['at the last id, where there is a cursor too', { 'last-event-id': 'c7' }, '?cursor=c6', 'c7'],
    ['with what comes next, where the last id is empty', { 'last-event-id': '' }, '', undefined],
  ] as const)
    test(`a client begins ${what}`, async (t) => {
      const { url, delivery } = await startPlatform(t)
      const client = await openEvents(t, eventsOf(url, query), headers)
      await client.next()
      assert.deepEqual(delivery.cursors, [expected])
    })

  test('a stream that delivery refuses is an error of the request', async (t) => {
    const { url, delivery } = await startPlatform(t)
    assertProblem(await call(eventsOf(url, '?cursor=refused')), 'CURSOR_INVALID')
    assertProblem(await call(`${url}/v1/streams/refused/events`), 'STREAM_UNKNOWN')
    await until(() => delivery.connections.every(({ closed }) => closed))
  })

  test('the answer ends with the stream', async (t) => {
    const { url, delivery } = await startPlatform(t)
    const client = await openEvents(t, eventsOf(url))
    await client.next()
    const [connection = assert.fail()] = delivery.connections
    connection.endpoint.send({ op: 'end', stream: 's1', reason: 'deleted' })
    assert.deepEqual((await client.next())?.data, { op: 'end', stream: 's1', reason: 'deleted' })
    assert.equal(await client.next(), undefined)
    await until(() => connection.closed)
  })

  test('delivery hears of a client that goes', async (t) => {
    const { url, delivery, metrics } = await startPlatform(t)
    const client = await openEvents(t, eventsOf(url))
    await client.next()
    assert.match(await metrics(), /^tapeline_event_streams(\{.*\})? 1$/m)
    client.close()
    await until(() => delivery.connections[0]?.closed === true)
    assert.match(await metrics(), /^tapeline_event_streams(\{.*\})? 0$/m)
  })

  test('a key is asked for, in a header or in the query, and is never logged', async (t) => {
    const { url, delivery, logged } = await startPlatform(t, { keys: [{ name: 'desk', key: 'k3y' }] })
    assertProblem(await call(eventsOf(url)), 'UNAUTHORIZED')
    assertProblem(await call(eventsOf(url, '?key=wrong')), 'UNAUTHORIZED')
    await (await openEvents(t, eventsOf(url, '?key=k3y'))).next()
    await (await openEvents(t, eventsOf(url), { authorization: 'Bearer k3y' })).next()
    assert.deepEqual(
      delivery.connections.map(({ app }) => app),
      ['desk', 'desk'],
    )
    assert.ok(logged.every((line) => !line.includes('k3y')))
  })

  test('a gateway that closes ends its streams', async (t) => {
    const { url, gateway } = await startPlatform(t)
    const client = await openEvents(t, eventsOf(url))
    await client.next()
    const closed = gateway.close()
    assert.equal(await client.next(), undefined)
    await closed
  })
})
