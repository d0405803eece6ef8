import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { TapelineError } from '../../../src/errors.ts'
import { NAMES } from '../../names.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

const STREAM = 'app.one'
/** Longer than the topics of these streams keep records. */
const LONG_MS = 2e9
const GONE =
  /^(what the stream held of shard 0 (is gone: retention removed it|became unreadable)|the topic of the stream cannot be read)/

type Producer = Awaited<ReturnType<typeof setUp>>

const ids = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `t${from + i}`)

/** Producers one after the other, each the only one, over topics that lose what is old. */
function setUpLog(t: TestContext) {
  const broker = new MemoryBroker(Date.now)
  t.after(() => broker.close())
  const partition = () => broker.topics.get(STREAM)?.partition(0)
  return {
    start: () => setUp(t, broker),
    /** Retention removes all of the stream but so many records. */
    expire: (but = 0) => partition()?.removeBefore((partition()?.end ?? 0) - but),
    /** Nobody can read what the stream holds. */
    rot(): void {
      for (let back = 0; back < 9; back++) partition()?.rot(back)
    },
    /** Retention removes all quotes. */
    forgetQuotes(): void {
      const quotes = broker.topics.get(NAMES.fixed.quote)?.partition(0)
      quotes?.removeBefore(quotes.end)
    },
    /** The fixed topic loses its end. */
    shorten: (end: number) => broker.topics.get(NAMES.fixed.trade)?.partition(0).cut(end),
  }
}

async function trade({ services, derive }: Producer, from: number, to: number): Promise<void> {
  await services.publishFixed(trades('A-B', ...ids(from, to)), NEVER)
  await derive()
}

const quotes = (...bids: number[]) => ({
  items: bids.map((bid) => {
    const event = { exchange: 'x', symbol: `S${bid}-USD`, id: `q${bid}`, bid, bidSize: 1, ask: 9, askSize: 1 }
    return { channel: 'quote' as const, event: { ...event, ts: 1_000, recvTs: 1_000 } }
  }),
})

/** Its checkpoint is written: what comes next is after it. */
async function checkpoint({ services, clock }: Producer): Promise<void> {
  await services.publishFixed({ items: [] }, NEVER)
  clock.skippedMs += 6_000
  await services.publishFixed({ items: [] }, NEVER)
}

/** A first owner, which is gone after so many trades, of which its checkpoint knows ten. */
async function crashAfter(first: Producer, count: number): Promise<void> {
  await first.announce(STREAM, ['*'], 0)
  await trade(first, 0, 10)
  await checkpoint(first)
  if (count > 10) await trade(first, 10, count)
  await first.crash()
}

/** What a reader of the stream gets that comes now; where it is told of a loss there is a `reset`. */
async function read({ idsIn }: Producer): Promise<string[]> {
  const found = await idsIn(STREAM)
  return found.map((each) => (GONE.test(each) ? 'reset' : each))
}

test('what was derived after the checkpoint and is gone from the stream comes again, and readers are told before', async (t) => {
  const log = setUpLog(t)
  await crashAfter(await log.start(), 20)
  log.expire()
  const second = await log.start()
  second.clock.skippedMs = LONG_MS
  await trade(second, 20, 25)
  assert.deepEqual(await read(second), ['reset', ...ids(10, 25)])
  await trade(second, 25, 30)
  await second.end()
  const third = await log.start()
  third.clock.skippedMs = LONG_MS
  await trade(third, 30, 35)
  assert.deepEqual(await read(third), ['reset', ...ids(10, 35)], 'once')
})

test('an owner that cannot write the stream leaves word of the loss to the next one', async (t) => {
  const log = setUpLog(t)
  await crashAfter(await log.start(), 20)
  log.expire()
  const second = await log.start()
  second.clock.skippedMs = LONG_MS
  second.mine.beforePublish = async (entries) => {
    const isMeant = entries.some(
      ({ topic, records }) => topic === STREAM && records.some(({ value }) => value),
    )
    if (isMeant)
      throw new TapelineError('BROKER_UNAVAILABLE', 'no leader', {
        partitions: [{ topic: STREAM, partition: 0 }],
      })
  }
  await second.services.publishFixed(trades('A-B', ...ids(20, 25)), NEVER)
  for (let step = 0; step < 3; step++) await second.services.publishDynamic(NEVER)
  await checkpoint(second)
  await second.crash()
  log.expire()
  const third = await log.start()
  third.clock.skippedMs = LONG_MS + 20_000
  await trade(third, 25, 30)
  assert.deepEqual(await read(third), ['reset', ...ids(10, 30)])
})

for (const { what, lose, again } of [
  { what: 'an emptied stream', lose: 'expire', again: [] },
  { what: 'a stream that nobody can read', lose: 'rot', again: ids(0, 4) },
] as const)
  test(`readers of ${what} are told where its fixed topic has lost its end too: they may be further`, async (t) => {
    const log = setUpLog(t)
    await crashAfter(await log.start(), 20)
    log[lose]()
    log.shorten(5)
    const second = await log.start()
    second.clock.skippedMs = LONG_MS
    await trade(second, 20, 25)
    assert.deepEqual(await read(second), ['reset', ...again, ...ids(20, 25)])
  })

test('readers of an emptied stream are told where its fixed topic may have lost what came after the checkpoint', async (t) => {
  const log = setUpLog(t)
  await crashAfter(await log.start(), 20)
  log.expire()
  // The marker and ten trades are left, as the checkpoint has them: nothing tells of the ten that were derived too.
  log.shorten(11)
  const second = await log.start()
  second.clock.skippedMs = LONG_MS
  await trade(second, 20, 25)
  assert.deepEqual(await read(second), ['reset', ...ids(20, 25)])
})

test('a stream that holds the last of what came after the checkpoint goes on without a word', async (t) => {
  const log = setUpLog(t)
  await crashAfter(await log.start(), 20)
  log.expire(1)
  const second = await log.start()
  second.clock.skippedMs = LONG_MS
  await trade(second, 20, 25)
  assert.deepEqual(await read(second), ids(19, 25))
})

test('an emptied stream whose checkpoint is younger than its records would be goes on without a word', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await first.announce(STREAM, ['*'], 0)
  await trade(first, 0, 10)
  first.clock.skippedMs = LONG_MS
  log.expire()
  await checkpoint(first)
  await first.services.publishFixed(trades('A-B', ...ids(10, 15)), NEVER)
  await first.crash()
  const second = await log.start()
  second.clock.skippedMs = first.clock.skippedMs
  await trade(second, 15, 20)
  assert.deepEqual(await read(second), ids(10, 20))
})

test('latest values with which a stream began, and which are gone from it, come again after the reset', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await first.services.publishFixed(quotes(1, 2), NEVER)
  await checkpoint(first)
  await first.announce(STREAM, ['*'], 2, 'quote')
  await first.services.publishFixed(quotes(3), NEVER)
  await first.derive()
  assert.deepEqual(await read(first), ['q1', 'q2', 'q3'])
  await first.crash()
  log.expire()
  const second = await log.start()
  second.clock.skippedMs = LONG_MS
  await second.services.publishFixed(quotes(4), NEVER)
  await second.derive()
  assert.deepEqual(await read(second), ['reset', 'q1', 'q2', 'q3', 'q4'])
})

for (const start of [0, 10])
  test(`what was sent without an answer and is gone when its topic can be written again comes again, from ${start}`, async (t) => {
    const log = setUpLog(t)
    const producer = await log.start()
    const { mine, services, clock } = producer
    if (start === 0) await producer.announce(STREAM, ['*'], 0)
    await trade(producer, 0, 10)
    if (start > 0) await producer.announce(STREAM, ['*'], await producer.endOfTrades())
    await trade(producer, 10, 15)
    await services.publishFixed(trades('A-B', ...ids(15, 20)), NEVER)
    const { publish } = mine
    let isBad = true
    mine.publish = async (entries, signal) => {
      const isMeant = entries.some(({ topic }) => topic === STREAM)
      if (!isMeant) return publish(entries, signal)
      if (!isBad) return publish(entries, signal)
      isBad = false
      await publish(entries, signal)
      throw new TapelineError('BROKER_UNAVAILABLE', 'no answer', {
        partitions: [{ topic: STREAM, partition: 0 }],
      })
    }
    await services.publishDynamic(NEVER)
    assert.deepEqual(await read(producer), ids(start, 20))
    log.expire()
    clock.skippedMs += LONG_MS
    await trade(producer, 20, 25)
    assert.deepEqual(await read(producer), ['reset', ...ids(15, 25)])
  })

test('a stream with windows is told of a hole in front of what it holds: an open window had some of it', async (t) => {
  const log = setUpLog(t)
  const quote = (bid: number) => ({
    items: quotes(bid).items.map(({ channel, event }) => ({
      channel,
      event: { ...event, symbol: 'A-B', ts: bid * 1_000_000, recvTs: bid * 1_000_000 },
    })),
  })
  const publish = async ({ services, derive }: Producer, bid: number): Promise<void> => {
    await services.publishFixed(quote(bid), NEVER)
    await derive()
  }
  const first = await log.start()
  await first.announce(STREAM, ['*'], 0, 'quote', { every: '1s', lateness: '0ms' })
  await publish(first, 1)
  await publish(first, 2)
  await first.crash()
  log.forgetQuotes()
  const second = await log.start()
  await publish(second, 3)
  assert.equal(
    (await second.idsIn(STREAM)).filter((each) => /^fixed records .* are gone/.test(each)).length,
    1,
  )
})
