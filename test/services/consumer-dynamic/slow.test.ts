import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { encodeCursor } from '../../../src/domain/cursor.ts'
import type { Channel } from '../../../src/domain/events.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import type { SlowChoice } from '../../../src/ports/delivery.ts'
import { until } from '../until.ts'
import { NEVER, range, setUp } from './gateways.ts'

const TOPIC = 'one'
const STREAM = `lease-${TOPIC}`

/** A client that takes nothing until it is told to, beside one that takes all. */
async function openSlow(t: TestContext, slow: SlowChoice, channel: Channel = 'trade') {
  const world = await setUp(t)
  await world.makeStreams([TOPIC], new Map(), channel)
  const quick = world.connect()
  const { client, subscribe } = world.connect()
  const room = Promise.withResolvers<void>()
  const skipped: number[] = []
  let isOver = false
  const { sendEncoded } = client.endpoint
  Object.assign(client.endpoint, {
    drained: () => room.promise,
    disconnect: () => {
      isOver = true
    },
    sendEncoded: (bytes: Uint8Array, cursor: string, events: number) => {
      skipped.push((JSON.parse(Buffer.from(bytes).toString()) as { skipped?: number }).skipped ?? 0)
      sendEncoded(bytes, cursor, events)
    },
  })
  quick.subscribe(STREAM)
  subscribe(STREAM, undefined, slow)
  await quick.says(TOPIC, 'subscribed')
  await until('the slow one is subscribed', () => client.ops(STREAM).includes('subscribed'))
  const { got } = client
  return {
    ...world,
    skipped,
    isOver: () => isOver,
    got: () => got.get(STREAM) ?? [],
    stall: () => {
      client.endpoint.pendingBytes = 5 * 1024 * 1024
    },
    goOn: () => {
      client.endpoint.pendingBytes = 0
      room.resolve()
    },
    /** Publishes, and waits until the quick one has it all. */
    async publish(from: number, to: number): Promise<void> {
      await world.publish(TOPIC, from, to)
      await quick.gets(TOPIC, range(0, to))
    },
    slowOnes: () =>
      world.roster
        .list()
        .map(({ context }) => (context as { slow: { behind: number; latest: number } }).slow),
  }
}

test('who wants the latest only gets that once there is room, hears how much was left out, and goes on live', async (t) => {
  const { publish, stall, goOn, got, skipped, slowOnes } = await openSlow(t, 'latest')
  await publish(0, 5)
  stall()
  for (let next = 5; next < 25; next += 5) await publish(next, next + 5)
  assert.deepEqual(got(), range(0, 5))
  assert.deepEqual(slowOnes(), [{ behind: 0, latest: 1 }])
  goOn()
  await until('the latest has come', () => got().length > 5)
  assert.deepEqual(got(), [...range(0, 5), 24])
  assert.equal(skipped.at(-1), 19)
  await publish(25, 30)
  await until('it is live', () => got().length >= 11)
  assert.deepEqual(got(), [...range(0, 5), ...range(24, 30)])
  assert.deepEqual(slowOnes(), [{ behind: 0, latest: 0 }])
})

test('who wants the latest of the changes of books gets all of them: each means nothing without those before it', async (t) => {
  const { publish, stall, goOn, got, slowOnes } = await openSlow(t, 'latest', 'book')
  await publish(0, 5)
  stall()
  for (let next = 5; next < 25; next += 5) await publish(next, next + 5)
  assert.deepEqual(slowOnes(), [{ behind: 1, latest: 0 }])
  goOn()
  await until('all have come', () => got().length >= 25)
  assert.deepEqual(got(), range(0, 25))
})

test('who wants to be disconnected is, and comes back with its cursor', async (t) => {
  const { publish, stall, isOver, got, connect } = await openSlow(t, 'disconnect')
  await publish(0, 5)
  stall()
  await publish(5, 10)
  await until('it is disconnected', isOver)
  assert.deepEqual(got(), range(0, 5))
  const again = connect()
  again.subscribe(STREAM)
  await again.says(TOPIC, 'subscribed')
})

test('by default all comes from the log, once there is room', async (t) => {
  const { publish, stall, goOn, got, slowOnes } = await openSlow(t, 'catch-up')
  await publish(0, 5)
  stall()
  for (let next = 5; next < 25; next += 5) await publish(next, next + 5)
  assert.deepEqual(got(), range(0, 5))
  assert.deepEqual(slowOnes(), [{ behind: 1, latest: 0 }])
  goOn()
  await until('all has come', () => got().length >= 25)
  await publish(25, 30)
  await until('it is live', () => got().length >= 30)
  assert.deepEqual(got(), range(0, 30))
})

test('1,000 that resume at once are served in turn, by 16 readers at most; those that take nothing keep none', async (t) => {
  const { makeStreams, publish, connect, mine, broker } = await setUp(t)
  await makeStreams([TOPIC])
  await publish(TOPIC, 0, 40)
  const [topic] = await broker.describeTopics([TOPIC], NEVER)
  const cursor = encodeCursor({
    lease: STREAM,
    topics: [{ topicId: topic?.id ?? '', offset: 0, memory: emptyMemory() }],
  })
  const live = connect()
  live.subscribe(STREAM)
  await live.says(TOPIC, 'subscribed')
  let open = 0
  let most = 0
  const { openReader } = mine
  mine.openReader = async (...call) => {
    const reader = await openReader(...call)
    const { close } = reader
    most = Math.max(most, ++open)
    return Object.assign(reader, {
      close: (signal: AbortSignal) => {
        open--
        return close.call(reader, signal)
      },
    })
  }
  const stalled = Array.from({ length: 40 }, () => connect())
  for (const { client, subscribe } of stalled) {
    Object.assign(client.endpoint, {
      pendingBytes: 5 * 1024 * 1024,
      drained: (_bytes: number, signal: AbortSignal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        }),
    })
    subscribe(STREAM, cursor)
  }
  const clients = Array.from({ length: 1_000 }, () => connect())
  for (const { subscribe } of clients) subscribe(STREAM, cursor)
  for (const { gets } of clients) await gets(TOPIC, range(0, 40))
  assert.ok(most <= 16, `${most} readers at once`)
  await until('none is left open', () => open === 0)
  for (const { close } of [...stalled, ...clients]) close()
})
