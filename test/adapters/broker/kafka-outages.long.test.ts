import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Broker, Reader, TransactionalWriter } from '../../../src/ports/broker.ts'
import {
  deadline,
  makeTopic,
  readToEnd,
  recordsOf,
  textOf,
  textRecord,
  uniqueName,
  until,
} from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { openKafkaFor, type ProxiedKafka, publishTexts, startProxiedKafka } from './kafka-fixtures.ts'

const POLL = { maxRecords: 1_000, waitMs: 1_000 }

/** Polls over outages, of which polls tell, until so many records have come. */
async function readThrough(reader: Reader, count: number): Promise<(string | null)[]> {
  const texts: (string | null)[] = []
  const signal = AbortSignal.timeout(60_000)
  while (texts.length < count) {
    try {
      texts.push(...recordsOf(await reader.poll(POLL, signal)).map(textOf))
    } catch (error) {
      const { code } = error as { code?: string }
      assert.equal(code, 'BROKER_UNAVAILABLE')
    }
  }
  return texts
}

/** The protocol's number of a request to write, which follows the request's length. Source: https://kafka.apache.org/protocol#protocol_api_keys */
const PRODUCE = 0
const NOTHING = Buffer.alloc(0)

describe('outages of Kafka', requireServer(kafkaMissing()), () => {
  let kafka: ProxiedKafka
  /** The topic that is not written: requests to do so get lost on their way. */
  let lost: string | undefined
  before(async () => {
    const isLost = (data: Buffer): boolean =>
      lost !== undefined && data.length > 6 && data.readInt16BE(4) === PRODUCE && data.includes(lost)
    kafka = await startProxiedKafka({}, () => ({ toServer: (data) => (isLost(data) ? NOTHING : data) }))
  })
  after(() => kafka.close())

  describe('while it is read', () => {
    test('the broker is killed and comes back: reading goes on where it was', async (t) => {
      const broker = await openKafkaFor(t, kafka.server.bootstrap)
      const topic = await makeTopic(broker)
      const reader = await broker.openReader(deadline())
      await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
      await publishTexts(broker, topic, '0', '1')
      assert.deepEqual(await readThrough(reader, 2), ['0', '1'])
      await kafka.server.kill()
      await assert.rejects(
        async () => {
          for (;;) await reader.poll(POLL, deadline())
        },
        { code: 'BROKER_UNAVAILABLE' },
      )
      await kafka.server.restart()
      await publishTexts(broker, topic, '2', '3')
      assert.deepEqual(await readThrough(reader, 2), ['2', '3'])
      await reader.close(deadline())
    })

    test('connections that are cut, and one that stalls, are made anew', async (t) => {
      const [direct, broker] = [
        await openKafkaFor(t, kafka.server.bootstrap),
        await openKafkaFor(t, kafka.through),
      ]
      const topic = await makeTopic(direct)
      const reader = await broker.openReader(deadline())
      await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
      for (let round = 0; round < 5; round++) {
        await publishTexts(direct, topic, `${round}`)
        kafka.proxy.cut()
      }
      assert.deepEqual(await readThrough(reader, 5), ['0', '1', '2', '3', '4'])
      // What was in the stalled connection never comes; the bytes that do are those of new connections.
      kafka.proxy.stall()
      await publishTexts(direct, topic, 'stalled')
      await assert.rejects(
        async () => {
          for (;;) await reader.poll(POLL, deadline())
        },
        { code: 'BROKER_UNAVAILABLE' },
      )
      kafka.proxy.cut()
      kafka.proxy.resume()
      assert.deepEqual(await readThrough(reader, 1), ['stalled'])
      await reader.close(deadline())
    })

    test('a broker that does not answer holds up nobody for longer than the signal says', async (t) => {
      const [direct, broker] = [
        await openKafkaFor(t, kafka.server.bootstrap),
        await openKafkaFor(t, kafka.through),
      ]
      const topic = await makeTopic(direct)
      const reader = await broker.openReader(deadline())
      kafka.proxy.stall()
      await assert.rejects(reader.assign([{ topic, partition: 0, offset: 0 }], AbortSignal.timeout(200)), {
        code: 'TIMEOUT',
      })
      await reader.close(AbortSignal.timeout(200))
      kafka.proxy.cut()
      kafka.proxy.resume()
    })

    test('a paused broker is waited for', async (t) => {
      const broker = await openKafkaFor(t, kafka.server.bootstrap)
      const topic = await makeTopic(broker)
      const reader = await broker.openReader(deadline())
      await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
      await publishTexts(broker, topic, 'before')
      assert.deepEqual(await readThrough(reader, 1), ['before'])
      kafka.server.pause()
      assert.deepEqual(await reader.poll({ maxRecords: 10, waitMs: 500 }, deadline()), [])
      kafka.server.resume()
      await publishTexts(broker, topic, 'after')
      assert.deepEqual(await readThrough(reader, 1), ['after'])
      await reader.close(deadline())
    })
  })

  describe('while it is written', () => {
    /** Publishes numbered records, one call after the other, until told to end; a call that fails is made again. */
    async function publishUntil(broker: Broker, topic: string, isOver: () => boolean): Promise<number> {
      let next = 0
      while (!isOver()) {
        const records = Array.from({ length: 20 }, (_, i) => textRecord(String(next + i)))
        await broker.publish([{ topic, partition: 0, records }], AbortSignal.timeout(60_000))
        next += records.length
      }
      return next
    }

    test('one batch a partition in flight: the broker is killed twice, and nothing is lost, doubled or out of order', async (t) => {
      const broker = await openKafkaFor(t, kafka.server.bootstrap)
      const topic = await makeTopic(broker)
      let isOver = false
      // Calls that hear of the outage go on: what they sent may be stored, and then must not be twice.
      const acknowledged: string[] = []
      const publishing = (async () => {
        for (let n = 0; !isOver; n++) {
          const text = String(n)
          const outcome = await Promise.allSettled([
            broker.publish([{ topic, partition: 0, records: [textRecord(text)] }], deadline()),
          ])
          if (outcome[0].status === 'fulfilled') acknowledged.push(text)
        }
      })()
      for (const round of [1, 2]) {
        await until('some are stored', () => acknowledged.length > round * 50)
        await kafka.server.kill()
        await kafka.server.restart()
      }
      const seen = acknowledged.length
      await until('it goes on', () => acknowledged.length > seen + 50)
      isOver = true
      await publishing
      const stored = (await readToEnd(broker, topic)).map(textOf)
      assert.equal(new Set(stored).size, stored.length, 'nothing is stored twice')
      const order = stored.map(Number)
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
        'in the order of the calls',
      )
      const missing = acknowledged.filter((text) => !stored.includes(text))
      assert.deepEqual(missing, [], 'everything acknowledged is there')
    })

    test('a cut connection loses and doubles nothing', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const topic = await makeTopic(broker)
      let cuts = 0
      // On a slow machine no call may come through between two cuts, but after the last.
      const cutting = setInterval(() => {
        kafka.proxy.cut()
        if (++cuts === 12) clearInterval(cutting)
      }, 60)
      t.after(() => clearInterval(cutting))
      const count = await publishUntil(broker, topic, () => cuts === 12)
      const stored = (await readToEnd(broker, topic)).map(textOf)
      assert.deepEqual(
        stored,
        Array.from({ length: count }, (_, i) => String(i)),
      )
    })

    test('a stalled connection: the caller hears of it, what it sent comes before all that follows, and once', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const topic = await makeTopic(broker)
      const publish = (text: string, signal = deadline()) =>
        broker.publish([{ topic, partition: 0, records: [textRecord(text)] }], signal)
      await publish('before')
      kafka.proxy.stall()
      const given = new AbortController()
      const aborted = publish('given up', given.signal)
      const reported = publish('reported')
      setTimeout(() => given.abort(), 50)
      await assert.rejects(aborted, { name: 'AbortError' })
      await assert.rejects(reported, { code: 'BROKER_UNAVAILABLE' })
      kafka.proxy.resume()
      await publish('after')
      const stored = (await readToEnd(broker, topic)).map(textOf)
      // Both were on their way in one batch when the connection stalled.
      assert.deepEqual(stored, ['before', 'given up', 'reported', 'after'])
    })

    test('topics that others write too stand still, and hold up no topic of its own', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const [own, stream] = [await makeTopic(broker), await makeTopic(broker)]
      lost = stream
      t.after(() => {
        lost = undefined
      })
      const entry = { topic: stream, partition: 0, records: [textRecord('late')], shared: true as const }
      const standing = broker.publish([entry], deadline())
      await publishTexts(broker, own, '0', '1')
      assert.deepEqual((await readToEnd(broker, own)).map(textOf), ['0', '1'])
      lost = undefined
      await assert.rejects(standing, { code: 'BROKER_UNAVAILABLE' })
      await until('it is written after all', async () => (await readToEnd(broker, stream)).length > 0)
    })

    test('a deadline that passes is a TIMEOUT', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const topic = await makeTopic(broker)
      kafka.proxy.stall()
      const publishing = broker.publish(
        [{ topic, partition: 0, records: [textRecord('x')] }],
        AbortSignal.timeout(100),
      )
      await assert.rejects(publishing, { code: 'TIMEOUT' })
      kafka.proxy.resume()
    })
  })

  describe('in transactions', () => {
    const commit = (writer: TransactionalWriter, topic: string, text: string, signal = deadline()) =>
      writer.commit([{ topic, partition: 0, records: [textRecord(text)] }], signal)

    test('a transaction that stands still in the middle is aborted by who takes over, and its zombie changes nothing', async (t) => {
      const [slow, other] = [
        await openKafkaFor(t, kafka.through),
        await openKafkaFor(t, kafka.server.bootstrap),
      ]
      const [topic, id] = [await makeTopic(other), uniqueName('id')]
      const zombie = await slow.takeOver(id, deadline())
      await commit(zombie, topic, 'first')
      kafka.proxy.stall()
      const stale = assert.rejects(commit(zombie, topic, 'stale'), { code: 'FENCED' })
      const owner = await other.takeOver(id, deadline())
      await commit(owner, topic, 'second')
      kafka.proxy.resume()
      await stale
      await assert.rejects(commit(zombie, topic, 'stale'), { code: 'FENCED' })
      await commit(owner, topic, 'third')
      assert.deepEqual((await readToEnd(other, topic)).map(textOf), ['first', 'second', 'third'])
    })

    test('after an unknown outcome the writer is of no use, and who takes over goes on', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const [topic, id] = [await makeTopic(broker), uniqueName('id')]
      const writer = await broker.takeOver(id, deadline())
      await commit(writer, topic, 'first')
      kafka.proxy.stall()
      await assert.rejects(commit(writer, topic, 'unknown', AbortSignal.timeout(200)), { code: 'TIMEOUT' })
      kafka.proxy.resume()
      await assert.rejects(commit(writer, topic, 'refused'), { code: 'BROKER_UNAVAILABLE' })
      const next = await broker.takeOver(id, deadline())
      await commit(next, topic, 'last')
      const stored = (await readToEnd(broker, topic)).map(textOf).filter((text) => text !== 'unknown')
      assert.deepEqual(stored, ['first', 'last'])
    })

    test('the broker is killed between and in transactions: each is there as a whole or not at all', async (t) => {
      const broker = await openKafkaFor(t, kafka.server.bootstrap)
      const [a, b, id] = [await makeTopic(broker), await makeTopic(broker), uniqueName('id')]
      let writer = await broker.takeOver(id, deadline())
      const committed: string[] = []
      const attempt = async (n: number): Promise<void> => {
        const entries = [a, b].map((topic) => ({ topic, partition: 0, records: [textRecord(String(n))] }))
        try {
          await writer.commit(entries, AbortSignal.timeout(8_000))
          committed.push(String(n))
        } catch {
          await writer.close()
          writer = await broker.takeOver(id, deadline())
        }
      }
      for (let n = 0; n < 10; n++) await attempt(n)
      const killing = kafka.server.kill().then(() => kafka.server.restart())
      for (let n = 10; n < 16; n++) await attempt(n)
      await killing
      for (let n = 16; n < 20; n++) await attempt(n)
      const [inA, inB] = [(await readToEnd(broker, a)).map(textOf), (await readToEnd(broker, b)).map(textOf)]
      assert.deepEqual(inA, inB)
      assert.deepEqual(
        inA,
        inA.toSorted((x, y) => Number(x) - Number(y)),
      )
      assert.equal(new Set(inA).size, inA.length)
      assert.deepEqual(
        committed.filter((text) => !inA.includes(text)),
        [],
      )
      assert.ok(committed.length > 10, `${committed.length} committed`)
    })
  })
})
