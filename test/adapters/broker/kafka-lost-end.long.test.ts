import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { Broker, PartitionFetch } from '../../../src/ports/broker.ts'
import { deadline, makeTopic, recordsOf, textOf, textRecord } from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import type { Rewriting } from '../../servers/tcp-proxy.ts'
import { capVersions } from './cap-versions.ts'
import { openKafkaFor, type ProxiedKafka, startProxiedKafka } from './kafka-fixtures.ts'

const KEPT = 50
const LOST = 30
const READ_MS = 60_000

/** Texts of numbered records of a kind. */
const texts = (kind: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${kind} ${i}`)

const publish = (broker: Broker, topic: string, records: readonly string[]) =>
  broker.publish([{ topic, partition: 0, records: records.map((text) => textRecord(text)) }], deadline())

/** How much the logs have that lost so many records, when the reader sees them again. */
const GROWN = { 'beyond what was read': LOST + 20, 'to where the reader is': LOST, 'not at all': 0 } as const

/** A client of this name is told that the broker speaks old versions only: it asks for the epoch, where fetches do not tell. */
const OLD = 'tapeline-old'

function capOld(): Rewriting {
  const { toClient = (data: Buffer) => data } = capVersions()
  let isOld = false
  return {
    toServer(data) {
      isOld ||= data.includes(OLD)
      return data
    },
    toClient: (data) => (isOld ? toClient(data) : data),
  }
}

describe('a log that lost its end', requireServer(kafkaMissing()), () => {
  let kafka: ProxiedKafka
  before(async () => {
    // The adapter takes it for Redpanda, of which it knows that it speaks old versions.
    kafka = await startProxiedKafka({ clusterId: 'redpandaAAAAAAAAAAAAAA' }, capOld)
  })
  after(() => kafka.close())

  /** Reads topics from their beginning. */
  async function follow(t: TestContext, topics: readonly string[], clientId: string) {
    const broker = await openKafkaFor(t, kafka.through, { clientId })
    const reader = await broker.openReader(deadline())
    await reader.assign(
      topics.map((topic) => ({ topic, partition: 0, offset: 0 })),
      deadline(),
    )
    const seen = new Map<string, PartitionFetch[]>(topics.map((topic) => [topic, []]))
    return {
      seen,
      /** Outages are told meanwhile; they end. */
      async until(isEnough: (of: readonly PartitionFetch[], i: number) => boolean): Promise<void> {
        const signal = AbortSignal.timeout(READ_MS)
        while (!topics.every((topic, i) => isEnough(seen.get(topic) ?? [], i))) {
          try {
            for (const fetch of await reader.poll({ maxRecords: 1_000, waitMs: 500 }, signal))
              seen.get(fetch.topic)?.push(fetch)
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'BROKER_UNAVAILABLE', String(error))
          }
        }
      },
    }
  }

  test('and grew again or not: readers are told, in new and old versions, and read on from there', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const topics = await Promise.all(Object.values(GROWN).map(() => makeTopic(broker)))
    const readers = await Promise.all(['tapeline-new', OLD].map((clientId) => follow(t, topics, clientId)))
    const { server, proxy } = kafka
    const logs = topics.map((topic) => join(server.data, `${topic}-0`))
    const copies = topics.map((topic) => join(server.data, '..', topic))

    for (const topic of topics) await publish(broker, topic, texts('kept', KEPT))
    await server.stop()
    for (const [i, log] of logs.entries()) await cp(log, copies[i] ?? '', { recursive: true })
    await server.restart()
    for (const topic of topics) await publish(broker, topic, texts('lost', LOST))
    await Promise.all(readers.map(({ until }) => until((of) => recordsOf(of).length >= KEPT + LOST)))

    await server.kill()
    for (const [i, log] of logs.entries()) {
      await rm(log, { recursive: true })
      await cp(copies[i] ?? '', log, { recursive: true })
    }
    // The readers see the log when it has grown.
    proxy.cut({ refuse: true })
    await server.restart()
    const grown = Object.values(GROWN)
    for (const [i, topic] of topics.entries()) {
      const records = texts('new', grown[i] ?? 0)
      if (records.length > 0) await publish(broker, topic, records)
    }
    proxy.accept()

    await Promise.all(readers.map(({ until }) => until((of) => of.some(({ kind }) => kind === 'truncated'))))
    for (const topic of topics) await publish(broker, topic, ['last'])
    const isAll = (of: readonly PartitionFetch[], i: number) =>
      recordsOf(of).length > KEPT + LOST + (grown[i] ?? 0)
    await Promise.all(readers.map(({ until }) => until(isAll)))
    for (const { seen } of readers) {
      for (const [i, topic] of topics.entries()) {
        const of = seen.get(topic) ?? []
        const notices = of.filter(({ kind }) => kind !== 'records')
        assert.deepEqual(notices, [
          { kind: 'truncated', topic, partition: 0, position: KEPT + LOST, earliest: KEPT },
        ])
        const wanted = [
          ...texts('kept', KEPT),
          ...texts('lost', LOST),
          ...texts('new', grown[i] ?? 0),
          'last',
        ]
        assert.deepEqual(recordsOf(of).map(textOf), wanted)
      }
    }
  })
})
