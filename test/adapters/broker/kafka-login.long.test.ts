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
import { inspectKafka, openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import {
  deadline,
  readToEnd,
  removeTopics,
  textOf,
  textRecord,
  uniqueName,
  until,
} from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { freePort } from '../../servers/free-port.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../../servers/kafka.ts'
import { kafkaSettings, openKafkaFor, USES } from './kafka-fixtures.ts'

const USERS = { admin: 'admin-secret', tapeline: 'tapeline-secret', limited: 'limited-secret' } as const
const PASSWORD = USERS.tapeline

async function refused(settings: KafkaSettings, code: string): Promise<void> {
  await assert.rejects(openKafkaBroker(settings, deadline()), (error: Error & { code?: string }) => {
    assert.equal(error.code, code, error.message)
    for (let each: unknown = error; each instanceof Error; each = each.cause)
      assert.doesNotMatch(`${each.message} ${each.stack}`, new RegExp(`${PASSWORD}|not-the-secret`))
    return true
  })
}

/** The ways to log in, each with a listener of its own. */
const LOGINS = [
  { mechanism: 'SCRAM-SHA-256', tls: false },
  { mechanism: 'PLAIN', tls: true },
  { mechanism: 'SCRAM-SHA-512', tls: true },
] as const

describe('logging in to Kafka', requireServer(kafkaMissing()), () => {
  let server: KafkaServer
  const ports: number[] = []
  before(async () => {
    const [first, ...others] = LOGINS
    const further = []
    for (const { mechanism } of others)
      further.push({ mechanism, tls: true, port: await freePort() } as const)
    server = await startKafka({ sasl: { mechanism: first.mechanism, users: USERS, further }, acls: true })
    ports.push(server.port, ...further.map(({ port }) => port))
    await grantRights(settingsOf('admin'))
    const broker = await openKafkaBroker(settingsOf('tapeline'), deadline())
    const topic = uniqueName('app')
    await until('the rights count', async () => {
      try {
        return (await broker.createTopics([{ name: topic, partitions: 1 }], deadline())).length === 1
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'BROKER_FORBIDDEN')
        return false
      }
    })
    await removeTopics(broker, [topic])
    await broker.close()
  })
  after(() => server.close())

  const settingsOf = (username: keyof typeof USERS): KafkaSettings =>
    kafkaSettings(server.bootstrap, {
      sasl: { mechanism: LOGINS[0].mechanism, username, password: USERS[username] },
    })

  for (const [at, { mechanism, tls }] of LOGINS.entries()) {
    const address = () => `127.0.0.1:${ports[at]}`
    describe(`by ${mechanism}${tls ? ' over TLS' : ''}`, () => {
      const settings = (password: string = PASSWORD): KafkaSettings =>
        kafkaSettings(address(), {
          sasl: { mechanism, username: 'tapeline', password },
          ...(tls && { tls: { ca: server.ca } }),
        })

      test('every part of the client connects so', async (t) => {
        const broker = await openKafkaFor(t, address(), settings())
        const topic = uniqueName('app')
        await broker.createTopics([{ name: topic, partitions: 1 }], deadline())
        const entries = [{ topic, partition: 0, records: [textRecord('published')] }]
        await broker.publish(entries, deadline())
        const writer = await broker.takeOver('tapeline.shard.0', deadline())
        await writer.commit(
          [{ ...entries[0], topic, partition: 0, records: [textRecord('committed')] }],
          deadline(),
        )
        let given = 0
        const onAssignment = async (partitions: readonly unknown[]): Promise<void> => {
          given = partitions.length
        }
        const options = { group: 'tapeline.producers', topics: [topic], onAssignment }
        const member = await broker.joinGroup(options, deadline())
        await until('the member has its partition', () => given === 1)
        await member.leave()
        assert.deepEqual((await readToEnd(broker, topic)).map(textOf), ['published', 'committed'])
        await removeTopics(broker, [topic])
      })

      test('what is wrong is told, without any secret', async () => {
        await refused(settings('not-the-secret'), 'BROKER_UNAUTHORIZED')
        const { sasl: _sasl, ...withoutLogin } = settings()
        await refused(withoutLogin, 'BROKER_LOGIN_MISMATCH')
        const kind = mechanism === 'PLAIN' ? 'SCRAM-SHA-512' : 'PLAIN'
        const other = { mechanism: kind, username: 'tapeline', password: PASSWORD } as const
        await refused({ ...settings(), sasl: other }, 'BROKER_LOGIN_MISMATCH')
        const { tls: _tls, ...plain } = settings()
        if (tls) {
          await refused({ ...plain, tls: {} }, 'BROKER_TLS_FAILED')
          await refused(plain, 'BROKER_TLS_FAILED')
        } else await refused({ ...plain, tls: {} }, 'BROKER_TLS_FAILED')
      })
    })
  }

  test('a user with exactly the rights of docs/kafka.md may do all that the platform does, and is told what it may not', async (t) => {
    const broker = await openKafkaFor(t, server.bootstrap, settingsOf('tapeline'))
    const specs = [
      { name: 'market.trades', partitions: 2, retentionMs: 3_600_000 },
      { name: 'tapeline.registry', partitions: 1, compacted: true as const },
      { name: 'app.01', partitions: 1, retentionMs: 60_000 },
    ]
    assert.equal((await broker.createTopics(specs, deadline())).length, 3)
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

  test('a look at the broker tells what a user may not do, and refuses a wrong password', async () => {
    const all = settingsOf('admin')
    assert.deepEqual((await inspectKafka(all, USES, deadline())).forbidden, [])
    const limited = await inspectKafka(settingsOf('limited'), USES, deadline())
    assert.deepEqual(limited.topics, [], 'what may not be looked at is not told')
    assert.deepEqual(limited.forbidden, [
      'write to the topic market.trades',
      'read the settings of the topic market.trades',
      'make the topic tapeline.control',
      'make the topic tapeline.registry',
      'make the topic app.*',
      'delete the topic app.*',
      'join the group tapeline.producers',
      'write under the transactional id tapeline.coordinator',
    ])
    assert.equal(limited.clockDifferenceMs, undefined)

    const { sasl, ...withoutLogin } = all
    assert.ok(sasl)
    const wrong = { ...all, sasl: { ...sasl, password: 'not-the-secret' } }
    await assert.rejects(inspectKafka(wrong, USES, deadline()), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'BROKER_UNAUTHORIZED')
      assert.doesNotMatch(`${error.message} ${error.stack}`, /not-the-secret/)
      return true
    })
    await assert.rejects(inspectKafka(withoutLogin, USES, deadline()), {
      code: 'BROKER_LOGIN_MISMATCH',
    })
  })
})

/** Gives the platform's user exactly the rights of docs/kafka.md, and another one far less. */
async function grantRights({ bootstrap, sasl }: KafkaSettings): Promise<void> {
  assert.ok(sasl)
  const admin = new Admin({ clientId: 'setup', bootstrapBrokers: [...bootstrap], sasl })
  const allowUser = (user: string, resourceType: number, resourceName: string, ...operations: number[]) =>
    operations.map((operation) => ({
      resourceType,
      resourceName,
      resourcePatternType: ResourcePatternTypes.PREFIXED,
      principal: `User:${user}`,
      host: '*',
      operation,
      permissionType: AclPermissionTypes.ALLOW,
    }))
  const allow = (...right: [resourceType: number, resourceName: string, ...operations: number[]]) =>
    allowUser('tapeline', ...right)
  const { READ, WRITE, CREATE, DELETE, DESCRIBE_CONFIGS } = AclOperations
  const creations = [
    ...['market.', 'tapeline.'].flatMap((prefix) =>
      allow(ResourceTypes.TOPIC, prefix, READ, WRITE, CREATE, DESCRIBE_CONFIGS),
    ),
    ...allow(ResourceTypes.TOPIC, 'app.', READ, WRITE, CREATE, DELETE, DESCRIBE_CONFIGS),
    ...allow(ResourceTypes.GROUP, 'tapeline.', READ),
    ...allow(ResourceTypes.TRANSACTIONAL_ID, 'tapeline.', WRITE),
    ...allowUser('limited', ResourceTypes.TOPIC, 'market.trades', READ),
  ]
  await admin.createAcls({ creations: creations as Parameters<Admin['createAcls']>[0]['creations'] })
  await admin.close()
}
