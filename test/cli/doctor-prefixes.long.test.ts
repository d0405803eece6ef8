import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openKafkaBroker } from '../../src/adapters/broker/kafka.ts'
import { checkKafka } from '../../src/cli/doctor/kafka.ts'
import { type ConfigInput, loadConfig } from '../../src/config.ts'
import { claimOwnership } from '../../src/control/claim.ts'
import { platformNames } from '../../src/control/names.ts'
import { registryEntry } from '../../src/control/registry-records.ts'
import { ensureTopics } from '../../src/control/topics.ts'
import { kafkaSettings } from '../adapters/broker/kafka-fixtures.ts'
import { quietLog } from '../quiet.ts'
import { requireServer } from '../servers/availability.ts'
import { kafkaMissing } from '../servers/kafka.ts'
import { shareKafka } from '../servers/shared.ts'

const within = (): AbortSignal => AbortSignal.timeout(30_000)

test('doctor foresees on Kafka that prefixes are taken', requireServer(kafkaMissing()), async (t) => {
  const server = await shareKafka()
  t.after(() => server.close())
  const own = { prefix: 'foreseen-m', dynamicPrefix: 'foreseen-a', controlPrefix: 'foreseen-t' }
  const names = platformNames(own)
  const broker = await openKafkaBroker(kafkaSettings(server.bootstrap), within())
  try {
    await ensureTopics(
      broker,
      { names, partitions: 4, retentionMs: 1e9, deadLetterRetentionMs: 1e9 },
      within(),
    )
    const { writer, epoch } = await claimOwnership(broker, names, names.leaderId, 'first', 0, within())
    const { prefix, dynamicPrefix } = own
    const record = {
      v: 1,
      instance: 'first',
      epoch,
      kind: 'leader',
      controlOffset: 0,
      prefix,
      dynamicPrefix,
    } as const
    await writer.commit([{ topic: names.registry, partition: 0, records: [registryEntry(record)] }], within())
    await writer.close()
  } finally {
    await broker.close()
  }

  const found = async (topics: NonNullable<ConfigInput['topics']>): Promise<readonly string[]> => {
    const flags = { broker: { kind: 'kafka', bootstrap: [server.bootstrap].flat() }, topics } as const
    const findings = await checkKafka(loadConfig({ environment: {}, flags }), quietLog, within())
    return findings.flatMap(({ check, status, detail }) =>
      check === 'broker prefixes' ? [`${status} ${detail}`] : [],
    )
  }
  assert.deepEqual(await found(own), [])
  assert.deepEqual(await found({ ...own, prefix: 'foreseen-x' }), [
    'fail PREFIX_TAKEN: foreseen-t.registry is that of a platform whose topics.prefix is foreseen-m, and here it is foreseen-x',
  ])
})
