import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import type { Broker, PartitionRecords, TransactionalWriter } from '../../../src/ports/broker.ts'
import { seededRandom } from '../../../src/simulator/random.ts'
import {
  deadline,
  makeTopic,
  readToEnd,
  removeTopics,
  textOf,
  textRecord,
  uniqueName,
  until,
} from '../../contract/broker-fixtures.ts'
import { SEED } from '../../seed.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import {
  changeAnswers,
  changeEnded,
  changeFound,
  changeJoined,
  changeProduced,
} from '../../servers/kafka-answers.ts'
import { kafkaSettings, openKafkaFor, type ProxiedKafka, startProxiedKafka } from './kafka-fixtures.ts'

/** What a broker may say of a batch that it, or the leader after it, has: by code of the protocol. */
const LATE = {
  UNKNOWN_SERVER_ERROR: -1,
  UNKNOWN_TOPIC: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER: 6,
  REQUEST_TIMED_OUT: 7,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  STORAGE_ERROR: 56,
  FENCED_LEADER_EPOCH: 74,
  ONE_THAT_NOBODY_KNOWS: 999,
} as const
const REFUSALS = { TOPIC_FORBIDDEN: 29, RECORD_TOO_LARGE: 10, INVALID_RECORD: 87 } as const
const OUT_OF_SEQUENCE = 45

describe(`errors that come after the append (seed ${SEED})`, requireServer(kafkaMissing()), () => {
  const random = seededRandom(`late errors ${SEED}`)
  /** What the client is told in the place of the broker's answer. */
  const quiet = {
    produced: (_topic: string): number | undefined => undefined,
    ended: (): number | undefined => undefined,
    joined: (): number | undefined => undefined,
    found: (_topic: string): number | undefined => undefined,
  }
  let told = { ...quiet }
  let kafka: ProxiedKafka
  before(async () => {
    const rewrite = changeAnswers((answer) => {
      changeProduced(answer, ({ topic, errorCode }) => (errorCode === 0 ? told.produced(topic) : undefined))
      changeEnded(answer, told.ended)
      changeJoined(answer, told.joined)
      changeFound(answer, told.found)
    })
    kafka = await startProxiedKafka({}, rewrite)
  })
  after(() => kafka.close())
  afterEach(() => {
    told = { ...quiet }
  })

  /** Not more often in a row than a caller waits for. */
  const sometimes = (code: number) => {
    let inARow = 0
    return (): number | undefined => {
      inARow = inARow < 4 && random() < 0.4 ? inARow + 1 : 0
      return inARow > 0 ? code : undefined
    }
  }
  /** Writes to a topic for each code, which comes in the place of many answers, and compares what is stored with what has to be. */
  const eachCode = async (broker: Broker, write: (topic: string) => Promise<string[]>): Promise<void> => {
    const codes = new Map<string, number>()
    told.produced = (topic) => sometimes(codes.get(topic) ?? 0)() || undefined
    await Promise.all(
      Object.entries(LATE).map(async ([name, code]) => {
        const topic = await makeTopic(broker)
        codes.set(topic, code)
        const written = await write(topic)
        assert.deepEqual(await stored(topic), written, `${name} (${code}), seed ${SEED}`)
      }),
    )
  }
  const entry = (topic: string, text: string, more: Partial<PartitionRecords> = {}): PartitionRecords => ({
    ...{ topic, partition: 0, records: [textRecord(text)] },
    ...more,
  })
  const stored = async (topic: string): Promise<(string | null)[]> => {
    const broker = await openObserver()
    return (await readToEnd(broker, topic)).map(textOf)
  }
  let observer: Broker | undefined
  const openObserver = async (): Promise<Broker> => {
    observer ??= await openKafkaBroker(kafkaSettings(kafka.server.bootstrap), deadline())
    return observer
  }
  after(() => observer?.close())

  for (const shared of [false, true]) {
    test(`of batches ${shared ? 'with' : 'without'} other writers: each record is stored once, in order`, async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const texts = Array.from({ length: 80 }, (_, i) => String(i))
      await eachCode(broker, async (topic) => {
        const publishing: Promise<unknown>[] = []
        for (const text of texts) {
          publishing.push(broker.publish([entry(topic, text, shared ? { shared } : {})], deadline()))
          // What is published meanwhile waits after a batch that is sent again.
          await delay(random() * 20)
        }
        await Promise.all(publishing)
        return texts
      })
    })
  }

  test('callers that give up meanwhile: what they sent comes once, in front of all that follows', async (t) => {
    const broker = await openKafkaFor(t, kafka.through)
    for (const code of [LATE.UNKNOWN_TOPIC, LATE.NOT_LEADER, LATE.STORAGE_ERROR, LATE.NOT_ENOUGH_REPLICAS]) {
      const topic = await makeTopic(broker)
      await broker.publish([entry(topic, 'first')], deadline())
      told.produced = () => code
      const given = new AbortController()
      const early = assert.rejects(broker.publish([entry(topic, 'given up')], given.signal))
      await until('it is stored', async () => (await stored(topic)).length > 1)
      const late = broker.publish([entry(topic, 'next')], deadline())
      given.abort()
      await early
      told.produced = quiet.produced
      await late
      assert.deepEqual(await stored(topic), ['first', 'given up', 'next'], `code ${code}`)
    }
  })

  for (const [name, code] of Object.entries(REFUSALS)) {
    test(`what is in doubt and then refused (${name}) has an unknown outcome, and is not sent anew`, async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const topic = await makeTopic(broker)
      await broker.publish([entry(topic, 'first')], deadline())
      let answers = 0
      told.produced = () => [LATE.NOT_LEADER, code][answers++]
      const outcomes = await Promise.allSettled(
        ['a', 'b'].map((text) => broker.publish([entry(topic, text)], deadline())),
      )
      assert.deepEqual(
        outcomes.map((each) => each.status === 'rejected' && each.reason.code),
        ['BROKER_UNAVAILABLE', 'BROKER_UNAVAILABLE'],
      )
      await broker.publish([entry(topic, 'last')], deadline())
      assert.deepEqual(await stored(topic), ['first', 'a', 'b', 'last'])
    })
  }

  test('a topic that one look at the cluster does not show is not gone: what is in doubt stays so', async (t) => {
    const broker = await openKafkaFor(t, kafka.through)
    const topic = await makeTopic(broker)
    await broker.publish([entry(topic, 'first')], deadline())
    let looks = 0
    told.produced = () => (looks < 8 ? LATE.UNKNOWN_TOPIC : undefined)
    told.found = (name) => (name === topic && ++looks < 8 ? LATE.UNKNOWN_TOPIC : undefined)
    const publishing = broker.publish([entry(topic, 'second')], deadline())
    await publishing
    await broker.publish([entry(topic, 'third')], deadline())
    assert.deepEqual(await stored(topic), ['first', 'second', 'third'])
  })

  test('a topic that goes away under a call for several: what became of the others is not known', async (t) => {
    const broker = await openKafkaFor(t, kafka.through)
    const [gone, stays] = [await makeTopic(broker), await makeTopic(broker)]
    const both = (text: string) => broker.publish([entry(gone, text), entry(stays, text)], deadline())
    await both('first')
    await removeTopics(await openObserver(), [gone])
    await assert.rejects(both('second'), {
      code: 'BROKER_UNAVAILABLE',
      partitions: [{ topic: gone, partition: 0 }],
    })
    await assert.rejects(both('third'), { code: 'TOPIC_UNKNOWN' })
    assert.deepEqual(await stored(stays), ['first', 'second'])
  })

  describe('in transactions', () => {
    const commit = (writer: TransactionalWriter, topic: string, text: string, signal = deadline()) =>
      writer.commit([entry(topic, text)], signal)

    test('of batches: each transaction is committed once, in order', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const texts = Array.from({ length: 8 }, (_, i) => String(i))
      await eachCode(broker, async (topic) => {
        const writer = await broker.takeOver(uniqueName('id'), deadline())
        for (const text of texts) await commit(writer, topic, text)
        return texts
      })
    })

    test('after one that is given up in doubt nothing is taken for what it wrote: nothing is lost', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      for (const code of [LATE.UNKNOWN_TOPIC, LATE.NOT_LEADER, LATE.STORAGE_ERROR]) {
        const [topic, id] = [await makeTopic(broker), uniqueName('id')]
        let writer = await broker.takeOver(id, deadline())
        await commit(writer, topic, 'first')
        told.produced = () => code
        await assert.rejects(commit(writer, topic, 'given up', AbortSignal.timeout(400)), { code: 'TIMEOUT' })
        told.produced = quiet.produced
        const acknowledged: string[] = ['first']
        for (const text of ['second', 'third']) {
          try {
            await commit(writer, topic, text)
          } catch {
            writer = await broker.takeOver(id, deadline())
            await commit(writer, topic, text)
          }
          acknowledged.push(text)
        }
        assert.deepEqual(await stored(topic), acknowledged, `code ${code}`)
      }
    })

    test('a writer whose numbers the broker does not take says so once, and who takes over goes on', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const [topic, id] = [await makeTopic(broker), uniqueName('id')]
      const writer = await broker.takeOver(id, deadline())
      await commit(writer, topic, 'first')
      told.produced = () => OUT_OF_SEQUENCE
      await assert.rejects(commit(writer, topic, 'refused'), { code: 'BROKER_UNAVAILABLE' })
      told.produced = quiet.produced
      await assert.rejects(commit(writer, topic, 'refused'), { code: 'BROKER_UNAVAILABLE' })
      await commit(await broker.takeOver(id, deadline()), topic, 'second')
      assert.deepEqual(await stored(topic), ['first', 'second'])
    })

    test('what a coordinator says after it has begun or ended one: each is committed once', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      for (const code of [-1, 7, 14, 15, 16, 51]) {
        const topic = await makeTopic(broker)
        const writer = await broker.takeOver(uniqueName('id'), deadline())
        told.ended = sometimes(code)
        told.joined = sometimes(code)
        const texts = Array.from({ length: 6 }, (_, i) => String(i))
        for (const text of texts) await commit(writer, topic, text)
        assert.deepEqual(await stored(topic), texts, `code ${code}`)
      }
    })

    test('a transaction that the broker asks to abort is aborted, and the writer goes on', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const topic = await makeTopic(broker)
      const writer = await broker.takeOver(uniqueName('id'), deadline())
      const ABORTABLE = 120
      await commit(writer, topic, 'first')
      let isTold = false
      told.joined = () => (isTold ? undefined : ABORTABLE)
      const refused = commit(writer, topic, 'refused')
      await assert.rejects(refused, { code: 'BROKER_UNAVAILABLE' })
      isTold = true
      await commit(writer, topic, 'second')
      assert.deepEqual(await stored(topic), ['first', 'second'])
    })
  })
})
