import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Broker, PartitionFetch } from '../../../src/ports/broker.ts'
import { deadline, makeTopic, recordsOf, textOf, textRecord } from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
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

for (const [name, start] of [
  ['fetches tell of it', () => startProxiedKafka()],
  // The adapter takes it for Redpanda, of which it knows that it speaks old versions.
  ['the epoch is asked for', () => startProxiedKafka({ clusterId: 'redpandaAAAAAAAAAAAAAA' }, capVersions)],
] as const) {
  describe(`a log that lost its end: ${name}`, requireServer(kafkaMissing()), () => {
    let kafka: ProxiedKafka
    before(async () => {
      kafka = await start()
    })
    after(() => kafka.close())

    test('and grew again or not: the reader is told, and reads on from there', async (t) => {
      const broker = await openKafkaFor(t, kafka.through)
      const topics = await Promise.all(Object.values(GROWN).map(() => makeTopic(broker)))
      const reader = await broker.openReader(deadline())
      await reader.assign(
        topics.map((topic) => ({ topic, partition: 0, offset: 0 })),
        deadline(),
      )
      const seen = new Map<string, PartitionFetch[]>(topics.map((topic) => [topic, []]))
      /** Outages are told meanwhile; they end. */
      const readUntil = async (
        isEnough: (of: readonly PartitionFetch[], i: number) => boolean,
      ): Promise<void> => {
        const signal = AbortSignal.timeout(READ_MS)
        while (!topics.every((topic, i) => isEnough(seen.get(topic) ?? [], i))) {
          try {
            for (const fetch of await reader.poll({ maxRecords: 1_000, waitMs: 500 }, signal))
              seen.get(fetch.topic)?.push(fetch)
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'BROKER_UNAVAILABLE', String(error))
          }
        }
      }
      const { server, proxy } = kafka
      const logs = topics.map((topic) => join(server.data, `${topic}-0`))
      const copies = topics.map((topic) => join(server.data, '..', topic))

      for (const topic of topics) await publish(broker, topic, texts('kept', KEPT))
      await server.stop()
      for (const [i, log] of logs.entries()) await cp(log, copies[i] ?? '', { recursive: true })
      await server.restart()
      for (const topic of topics) await publish(broker, topic, texts('lost', LOST))
      await readUntil((of) => recordsOf(of).length >= KEPT + LOST)

      await server.kill()
      for (const [i, log] of logs.entries()) {
        await rm(log, { recursive: true })
        await cp(copies[i] ?? '', log, { recursive: true })
      }
      // The reader sees the log when it has grown.
      proxy.cut({ refuse: true })
      await server.restart()
      const other = await openKafkaFor(t, server.bootstrap)
      const grown = Object.values(GROWN)
      for (const [i, topic] of topics.entries()) await publish(other, topic, texts('new', grown[i] ?? 0))
      proxy.accept()

      await readUntil((of) => of.some(({ kind }) => kind === 'truncated'))
      for (const topic of topics) await publish(other, topic, ['last'])
      await readUntil((of, i) => recordsOf(of).length > KEPT + LOST + (grown[i] ?? 0))
      for (const [i, topic] of topics.entries()) {
        const of = seen.get(topic) ?? []
        const [first] = of.filter(({ kind }) => kind !== 'records')
        assert.deepEqual(first, {
          kind: 'truncated',
          topic,
          partition: 0,
          position: KEPT + LOST,
          earliest: KEPT,
        })
        const wanted = [
          ...texts('kept', KEPT),
          ...texts('lost', LOST),
          ...texts('new', grown[i] ?? 0),
          'last',
        ]
        assert.deepEqual(recordsOf(of).map(textOf), wanted)
        assert.equal(of.filter(({ kind }) => kind !== 'records').length, 1)
      }
      await reader.close(deadline())
    })
  })
}
