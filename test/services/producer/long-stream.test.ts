import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { StoredRecord } from '../../../src/ports/broker.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

const STREAM = 'app.long'
const LONG = 3_000
/** Longer ago than what a new owner looks at. */
const PAST_MS = 300_000

type Producer = Awaited<ReturnType<typeof setUp>>

const ids = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `t${from + i}`)

/** Producers one after the other over one log, which counts what is read of the stream; all go by one clock. */
function setUpLog(t: TestContext) {
  const time = { skippedMs: 0 }
  const broker = new MemoryBroker(() => Date.now() + time.skippedMs)
  t.after(() => broker.close())
  const read: StoredRecord[] = []
  const openReader = broker.openReader.bind(broker)
  broker.openReader = async (signal) => {
    const reader = await openReader(signal)
    const poll = reader.poll.bind(reader)
    reader.poll = async (options, stop) => {
      const fetches = await poll(options, stop)
      for (const fetch of fetches)
        if (fetch.kind === 'records' && fetch.topic === STREAM) read.push(...fetch.records)
      return fetches
    }
    return reader
  }
  return {
    ...{ broker, read },
    start: async (): Promise<Producer> => {
      const producer = await setUp(t, broker)
      producer.clock.skippedMs = time.skippedMs
      return producer
    },
    pass(producer: Producer) {
      time.skippedMs += PAST_MS
      producer.clock.skippedMs = time.skippedMs
    },
  }
}

async function trade({ services, derive }: Producer, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += 500)
    await services.publishFixed(trades('A-B', ...ids(first, Math.min(to, first + 500))), NEVER)
  await derive()
}

/** Its checkpoint is written: what comes next is after it. */
async function checkpoint({ services, clock }: Producer): Promise<void> {
  await services.publishFixed({ items: [] }, NEVER)
  clock.skippedMs += 6_000
  await services.publishFixed({ items: [] }, NEVER)
}

test('a new owner reads of a long stream what is young, and the stream has everything once', async (t) => {
  const { start, pass, read } = setUpLog(t)
  const first = await start()
  await first.announce(STREAM, ['*'], 0)
  await trade(first, 0, LONG)
  pass(first)
  await checkpoint(first)
  await trade(first, LONG, LONG + 10)
  await first.crash()
  const second = await start()
  read.length = 0
  await trade(second, LONG + 10, LONG + 20)
  assert.ok(read.length > 0 && read.length < 50, `${read.length} records were read`)
  assert.deepEqual(await second.idsIn(STREAM), ids(0, LONG + 20))
})

test('in doubt it reads further back: what a former owner wrote behind a later one holds nothing up', async (t) => {
  const { start, pass, broker, read } = setUpLog(t)
  const first = await start()
  await first.announce(STREAM, ['*'], 0)
  await trade(first, 0, 10)
  await first.crash()
  const second = await start()
  await trade(second, 10, LONG / 2)
  pass(second)
  await checkpoint(second)
  await second.services.publishFixed(trades('A-B', ...ids(LONG / 2, LONG / 2 + 5)), NEVER)
  await second.crash()
  // The first owner goes on as if nothing had happened, and seems to have derived all that there is.
  await second.idsIn(STREAM)
  const own = read.find(({ headers }) => headers.kind === 'event')
  const position = { topic: own?.headers.position?.topic ?? '', partition: 0, offset: 1_000_000 }
  const late = { ...trades('A-B', 'late').items[0]?.event }
  const record = {
    key: 'x:A-B',
    value: Buffer.from(JSON.stringify(late)),
    headers: { ...own?.headers, v: 1, kind: 'event', position } as const,
  }
  await broker.publish([{ topic: STREAM, partition: 0, records: [record] }], NEVER)
  const third = await start()
  await trade(third, LONG / 2 + 5, LONG / 2 + 10)
  const all = await third.idsIn(STREAM)
  assert.deepEqual(
    all.filter((id) => id !== 'late'),
    ids(0, LONG / 2 + 10),
  )
})
