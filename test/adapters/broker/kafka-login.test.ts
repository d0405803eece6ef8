import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka'
import type { KafkaSettings } from '../../../src/adapters/broker/kafka/settings.ts'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import {
  deadline,
  readToEnd,
  removeTopics,
  textOf,
  textRecord,
  until,
} from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../../servers/kafka.ts'
import { kafkaSettings, openKafkaFor } from './kafka-fixtures.ts'

const USERS = { admin: 'admin-secret', tapeline: 'tapeline-secret' } as const
const PASSWORD = USERS.tapeline

async function refused(settings: KafkaSettings, code: string): Promise<void> {
  await assert.rejects(openKafkaBroker(settings, deadline()), (error: Error & { code?: string }) => {
    assert.equal(error.code, code, error.message)
    for (let each: unknown = error; each instanceof Error; each = each.cause)
      assert.doesNotMatch(`${each.message} ${each.stack}`, new RegExp(`${PASSWORD}|not-the-secret`))
    return true
  })
}

for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
  const withTls = mechanism !== 'SCRAM-SHA-256'
  describe(
    `logging in to Kafka by ${mechanism}${withTls ? ' over TLS' : ''}`,
    requireServer(kafkaMissing()),
    () => {
      let server: KafkaServer
      before(async () => {
        server = await startKafka({ sasl: { mechanism, users: USERS }, ...(withTls && { tls: true }) })
      })
      after(() => server.close())
      const settings = (password: string = PASSWORD): KafkaSettings =>
        kafkaSettings(server.bootstrap, {
          sasl: { mechanism, username: 'tapeline', password },
          ...(withTls && { tls: { ca: server.ca } }),
        })

      test('every part of the client connects so', async (t) => {
        const broker = await openKafkaFor(t, server.bootstrap, settings())
        await broker.createTopics([{ name: 'market.trades', partitions: 1 }], deadline())
        const entries = [{ topic: 'market.trades', partition: 0, records: [textRecord('published')] }]
        await broker.publish(entries, deadline())
        const writer = await broker.takeOver('tapeline.shard.0', deadline())
        await writer.commit(
          [{ ...entries[0], topic: 'market.trades', partition: 0, records: [textRecord('committed')] }],
          deadline(),
        )
        let given = 0
        const onAssignment = async (partitions: readonly unknown[]): Promise<void> => {
          given = partitions.length
        }
        const options = { group: 'tapeline.producers', topics: ['market.trades'], onAssignment }
        const member = await broker.joinGroup(options, deadline())
        await until('the member has its partition', () => given === 1)
        await member.leave()
        assert.deepEqual((await readToEnd(broker, 'market.trades')).map(textOf), ['published', 'committed'])
      })

      test('what is wrong is told, without any secret', async () => {
        await refused(settings('not-the-secret'), 'BROKER_UNAUTHORIZED')
        const { sasl: _sasl, ...withoutLogin } = settings()
        await refused(withoutLogin, 'BROKER_LOGIN_MISMATCH')
        const kind = mechanism === 'PLAIN' ? 'SCRAM-SHA-512' : 'PLAIN'
        const other = { mechanism: kind, username: 'tapeline', password: PASSWORD } as const
        await refused({ ...settings(), sasl: other }, 'BROKER_LOGIN_MISMATCH')
        const { tls: _tls, ...plain } = settings()
        if (withTls) {
          await refused({ ...plain, tls: {} }, 'BROKER_TLS_FAILED')
          await refused(plain, 'BROKER_TLS_FAILED')
        } else await refused({ ...plain, tls: {} }, 'BROKER_TLS_FAILED')
      })
    },
  )
}

describe('a user of Kafka with exactly the rights of docs/kafka.md', requireServer(kafkaMissing()), () => {
  const mechanism = 'SCRAM-SHA-256'
  let server: KafkaServer
  before(async () => {
    server = await startKafka({ sasl: { mechanism, users: USERS }, acls: true })
    const sasl = { mechanism, username: 'admin', password: USERS.admin } as const
    const admin = new Admin({ clientId: 'setup', bootstrapBrokers: [server.bootstrap], sasl })
    const allow = (resourceType: number, resourceName: string, ...operations: number[]) =>
      operations.map((operation) => ({
        resourceType,
        resourceName,
        resourcePatternType: ResourcePatternTypes.PREFIXED,
        principal: 'User:tapeline',
        host: '*',
        operation,
        permissionType: AclPermissionTypes.ALLOW,
      }))
    const { READ, WRITE, CREATE, DELETE, DESCRIBE_CONFIGS } = AclOperations
    const creations = [
      ...['market.', 'tapeline.'].flatMap((prefix) =>
        allow(ResourceTypes.TOPIC, prefix, READ, WRITE, CREATE, DESCRIBE_CONFIGS),
      ),
      ...allow(ResourceTypes.TOPIC, 'app.', READ, WRITE, CREATE, DELETE, DESCRIBE_CONFIGS),
      ...allow(ResourceTypes.GROUP, 'tapeline.', READ),
      ...allow(ResourceTypes.TRANSACTIONAL_ID, 'tapeline.', WRITE),
    ]
    await admin.createAcls({ creations: creations as Parameters<Admin['createAcls']>[0]['creations'] })
    await admin.close()
  })
  after(() => server.close())

  test('may do all that the platform does, and is told what it may not', async (t) => {
    const sasl = { mechanism, username: 'tapeline', password: PASSWORD } as const
    const broker = await openKafkaFor(t, server.bootstrap, { sasl })
    const specs = [
      { name: 'market.trades', partitions: 2, retentionMs: 3_600_000 },
      { name: 'tapeline.registry', partitions: 1, compacted: true as const },
      { name: 'app.01', partitions: 1, retentionMs: 60_000 },
    ]
    await until('the rights count', async () => {
      try {
        return (await broker.createTopics(specs, deadline())).length === 3
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'BROKER_FORBIDDEN')
        return false
      }
    })
    assert.equal((await broker.createTopics(specs, deadline())).length, 3, 'those that exist are looked at')
    await broker.publish(
      [
        { topic: 'market.trades', partition: 1, records: [textRecord('a')] },
        { topic: 'app.01', partition: 0, records: [textRecord('a')] },
      ],
      deadline(),
    )
    const writer = await broker.takeOver('tapeline.coordinator', deadline())
    await writer.commit(
      [{ topic: 'tapeline.registry', partition: 0, records: [textRecord('r', 'k')] }],
      deadline(),
    )
    let given = 0
    const onAssignment = async (partitions: readonly unknown[]): Promise<void> => {
      given = partitions.length
    }
    const options = { group: 'tapeline.consumers', topics: ['market.trades'], onAssignment }
    const member = await broker.joinGroup(options, deadline())
    await until('the member has its partitions', () => given === 2)
    await member.commit([{ topic: 'market.trades', partition: 1, offset: 1 }], deadline())
    await member.leave()
    assert.deepEqual((await readToEnd(broker, 'tapeline.registry')).map(textOf), ['r'])
    await removeTopics(broker, ['app.01'])
    assert.equal((await broker.listTopics('', deadline())).length, 2)

    const forbidden = { code: 'BROKER_FORBIDDEN' }
    const foreign = { ...options, group: 'of-others' }
    await assert.rejects(broker.createTopics([{ name: 'of-others', partitions: 1 }], deadline()), forbidden)
    await assert.rejects(removeTopics(broker, ['market.trades']), forbidden)
    await assert.rejects(broker.joinGroup(foreign, deadline()), forbidden)
    await assert.rejects(broker.takeOver('of-others', deadline()), forbidden)
    const records = [textRecord('x')]
    await assert.rejects(
      broker.publish([{ topic: 'of-others', partition: 0, records }], deadline()),
      forbidden,
    )
  })
})
