import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { platformNames, type TopicPrefixes } from '../../../src/control/names.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing, kafkaTool } from '../../servers/kafka.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { PlatformProcess, until } from '../platform-process.ts'
import { StreamClient } from '../stream-client.ts'
import { type Cluster, openCluster } from './cluster.ts'
import { FOREIGN, foreignNow, LOOKS_LIKE_OURS, makeForeign, recordsOf } from './foreign.ts'
import { describeGroup } from './operations-view.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)
/** What each leader is asked for: one stream that the leader before it did not have. */
const SYMBOLS_OF_LEADERS = [['*'], ['BTC-*'], ['ETH-*'], ['BTC-*', 'ETH-*'], ['*-USD', '*-USDT']]
const FOREIGN_GROUP = 'tapeline-readers'
const PREFIXES: readonly TopicPrefixes[] = [
  { prefix: 'market', dynamicPrefix: 'app', controlPrefix: 'tapeline' },
  { prefix: 'second-market', dynamicPrefix: 'second-app', controlPrefix: 'second' },
]

/** A platform in two processes: the leader, and all else. */
interface Platform {
  readonly prefixes: TopicPrefixes
  readonly coordinator: PlatformProcess
  readonly work: PlatformProcess
}

const within = (): AbortSignal => AbortSignal.timeout(30_000)

const title = `two platforms and others on one Kafka (seed ${SEED})`
describe(title, requireServer(kafkaMissing() ?? postgresMissing()), () => {
  let cluster: Cluster
  let broker: Broker
  let platforms: readonly Platform[] = []

  before(async () => {
    cluster = await openCluster({ seed: SEED, rate: 200, roles: {} })
    broker = await cluster.openBroker()
    await cluster.sql('create database second')
    platforms = PREFIXES.map((prefixes, i) => platformOf(prefixes, i === 0 ? undefined : 'second'))
  })
  after(async () => {
    await Promise.all(platforms.flatMap(({ coordinator, work }) => [coordinator.kill(), work.kill()]))
    await broker?.close()
    await cluster?.close()
  })

  const platformOf = (prefixes: TopicPrefixes, database: string | undefined): Platform => {
    const url = new URL(cluster.postgres.url)
    if (database !== undefined) url.pathname = `/${database}`
    const servers = ['--kafka', cluster.kafka.bootstrap, '--simulator', cluster.simulator.url]
    const withRoles = (roles: string): PlatformProcess =>
      new PlatformProcess(
        join(cluster.folder, `${prefixes.controlPrefix}-${roles}`),
        [...servers, '--database', url.href, '--roles', roles],
        {
          TAPELINE_TOPICS_PREFIX: prefixes.prefix,
          TAPELINE_TOPICS_DYNAMIC_PREFIX: prefixes.dynamicPrefix,
          TAPELINE_TOPICS_CONTROL_PREFIX: prefixes.controlPrefix,
          TAPELINE_STREAMS_GRACE: '100ms',
        },
      )
    return {
      prefixes,
      coordinator: withRoles('coordinator'),
      work: withRoles('producer,consumer-fixed,gateway'),
    }
  }

  /** Asks for a stream, sees it deliver, ends it, and sees its topic go. */
  const useStream = async (
    client: StreamClient,
    { prefixes, work }: Platform,
    symbols: string[],
  ): Promise<void> => {
    const id = await client.request({ channel: 'trade', symbols })
    const topic = client.messages.findLast(({ stream }) => stream === id)?.topic ?? ''
    assert.ok(topic.startsWith(`${prefixes.dynamicPrefix}.`), `${topic} has the platform's own prefix`)
    await until(`${topic} delivers`, () => client.count(id) > 0)
    await work.remove(`/v1/streams/${id}`)
    await until(`${topic} is gone`, async () => (await broker.topicIds([topic], within())).size === 0)
  }

  /** Lives through leaders that are killed and that go in order, in turn. */
  const liveThroughLeaders = async (platform: Platform): Promise<void> => {
    const client = await StreamClient.open(await platform.work.api())
    const standing = await client.request({ channel: 'trade', symbols: ['BTC-*'], exchanges: ['coinbase'] })
    for (const [n, symbols] of SYMBOLS_OF_LEADERS.entries()) {
      if (n > 0) {
        await (n % 2 === 0 ? platform.coordinator.stop() : platform.coordinator.kill())
        await platform.coordinator.start()
      }
      await useStream(client, platform, symbols)
    }
    const before = client.count(standing)
    await until('the stream that stood through all leaders delivers', () => client.count(standing) > before)
    client.cut()
  }

  test('what belongs to others stays as it is through five leaders of each', async () => {
    await makeForeign(broker, FOREIGN)
    const member = await broker.joinGroup(
      { group: FOREIGN_GROUP, topics: ['app.orders'], onAssignment: async () => {} },
      within(),
    )
    await member.commit([{ topic: 'app.orders', partition: 0, offset: 2 }], within())
    await member.leave()
    const beforeStart = await foreignNow(broker, FOREIGN)

    await Promise.all(platforms.flatMap(({ coordinator, work }) => [coordinator.start(), work.start()]))
    await makeForeign(broker, [LOOKS_LIKE_OURS])
    const foreign = [...FOREIGN, LOOKS_LIKE_OURS]
    const before = await foreignNow(broker, foreign)

    await Promise.all(platforms.map(liveThroughLeaders))

    assert.deepEqual(await foreignNow(broker, FOREIGN), beforeStart, 'what was there before the first start')
    assert.deepEqual(
      await foreignNow(broker, foreign),
      before,
      'topics of others: identities, offsets, records',
    )
    let group: Awaited<ReturnType<typeof describeGroup>> = []
    // Where the broker does not answer the tool in its time, it says nothing, and ends as if all were well.
    await until('the tool tells of the group of others', async () => {
      group = await describeGroup(cluster, FOREIGN_GROUP)
      return group.length > 0
    })
    assert.deepEqual(
      group.map(({ topic, lag }) => ({ topic, lag })),
      [{ topic: 'app.orders', lag: 1 }],
      'the group of others is where it was',
    )

    const names = (await broker.listTopics('', within())).map(({ name }) => name)
    for (const { controlPrefix, prefix, dynamicPrefix } of PREFIXES) {
      const own = names.filter((name) =>
        [controlPrefix, prefix, dynamicPrefix].some((each) => name.startsWith(`${each}.`)),
      )
      assert.ok(own.length > 0, `${controlPrefix} has topics`)
    }
    const strange = names.filter(
      (name) =>
        !foreign.includes(name) &&
        !PREFIXES.flatMap((each) => Object.values(each)).some((prefix) => name.startsWith(`${prefix}.`)),
    )
    assert.deepEqual(strange, [], 'every other topic carries a prefix of one of them')
    let groups = ''
    await until('the tool lists groups', async () => {
      groups = await kafkaTool('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', [
        ...['--bootstrap-server', cluster.kafka.bootstrap, '--list', '--timeout', '30000'],
      ])
      return groups.trim() !== ''
    })
    // Without a webhook there is no group of gateways.
    const groupsOf = (each: (typeof PREFIXES)[number]): string[] => {
      const { gateways: _unused, ...used } = platformNames(each).groups
      return Object.values(used)
    }
    assert.deepEqual(
      groups.split('\n').filter(Boolean).sort(),
      [FOREIGN_GROUP, ...PREFIXES.flatMap(groupsOf)].sort(),
      'so does every group',
    )
    for (const each of PREFIXES) {
      const { registry } = platformNames(each)
      const records = await recordsOf(broker, await broker.describeTopics([registry], within()))
      const epochs = new Set(records.flatMap((text) => /"epoch":(\d+)/.exec(text)?.[1] ?? []))
      assert.ok(epochs.size >= SYMBOLS_OF_LEADERS.length, `${registry} has records of ${epochs.size} leaders`)
    }
  })
})
