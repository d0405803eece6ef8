import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Admin } from '@platformatic/kafka'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { makeFolder, PlatformProcess, runCommand, until } from '../e2e/platform-process.ts'
import { requireServer } from '../servers/availability.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../servers/kafka.ts'
import { readText } from './files.ts'

const MECHANISM = 'SCRAM-SHA-512'
const USERS = { admin: 'admin-secret', tapeline: 'tapeline-secret' }

/** The protocol's numbers. Source: ResourceType, PatternType and AclOperation of Apache Kafka. */
const RESOURCES = { topic: 2, group: 3, 'transactional-id': 5 } as const
const OPERATIONS = { Read: 3, Write: 4, Create: 5, Delete: 6, Describe: 8, DescribeConfigs: 10 } as const
const PREFIXED = 4
const ALLOW = 3

/** The rights that the page gives, from the commands that it shows. */
function documentedRights() {
  const lines = readText('docs/deploy.md').match(/^\$acls .*$/gm) ?? []
  return lines.flatMap((line) => {
    const [, resource = '', name = ''] = /--(topic|group|transactional-id) (\S+)/.exec(line) ?? []
    const operations = [...line.matchAll(/--operation (\w+)/g)].map(([, operation = '']) => operation)
    return operations.map((operation) => ({
      resourceType: RESOURCES[resource as keyof typeof RESOURCES],
      resourceName: name,
      resourcePatternType: PREFIXED,
      principal: 'User:tapeline',
      host: '*',
      operation: OPERATIONS[operation as keyof typeof OPERATIONS],
      permissionType: ALLOW,
    }))
  }) satisfies Parameters<Admin['createAcls']>[0]['creations']
}

async function asAdmin(work: (admin: Admin) => Promise<unknown>): Promise<void> {
  const admin = new Admin({
    clientId: 'setup',
    bootstrapBrokers: [kafka.bootstrap],
    sasl: { mechanism: MECHANISM, username: 'admin', password: USERS.admin },
  })
  await work(admin)
  await admin.close()
}

const ENVIRONMENT = {
  TAPELINE_BROKER_SASL: 'scram-sha-512',
  TAPELINE_BROKER_USERNAME: 'tapeline',
  TAPELINE_BROKER_PASSWORD: USERS.tapeline,
  TAPELINE_STREAMS_GRACE: '1s',
  TAPELINE_LOG_LEVEL: 'info',
}

let folder: Awaited<ReturnType<typeof makeFolder>>
let kafka: KafkaServer
let simulator: Simulator
let platform: PlatformProcess | undefined

const servers = requireServer(kafkaMissing())

before(async () => {
  if (servers.skip !== false) return
  folder = await makeFolder()
  ;[kafka, simulator] = await Promise.all([
    startKafka({ sasl: { mechanism: MECHANISM, users: USERS }, acls: true }),
    startSimulatorThread({ seed: 5, rate: 200 }),
  ])
  await asAdmin((admin) => admin.createAcls({ creations: documentedRights() }))
})

after(async () => {
  if (servers.skip !== false) return
  await platform?.kill()
  await Promise.all([kafka.close(), simulator.close()])
  await folder.remove()
})

test(
  'the rights on Kafka that docs/deploy.md lists are enough for all that a platform does',
  servers,
  async () => {
    const flags = ['--kafka', kafka.bootstrap, '--simulator', simulator.url]
    platform = new PlatformProcess(folder.path, flags, ENVIRONMENT)
    await platform.start()
    const { id, topic } = await platform.post<{ id: string; topic: string }>('/v1/streams', {
      channel: 'trade',
      symbols: ['*'],
    })
    const dynamicTopics = async (): Promise<string[]> => {
      const { topics } = await (platform as PlatformProcess).get<{ topics: { name: string }[] }>('/v1/topics')
      return topics.map(({ name }) => name)
    }
    await until('trades are stored', async () => (await platform?.metric('stored_rows_total')) !== 0)
    await until('the stream is derived', async () => (await platform?.metric('derived_records_total')) !== 0)
    assert.ok((await dynamicTopics()).includes(topic))

    const { stdout } = await runCommand(['doctor', '--json', '--data', folder.path, ...flags], ENVIRONMENT)
    const { findings } = JSON.parse(stdout) as {
      findings: { check: string; status: string; detail: string }[]
    }
    const broker = findings.filter(({ check }) => check.startsWith('broker'))
    assert.ok(broker.length > 2, stdout)
    assert.deepEqual(
      broker.filter(({ status }) => status === 'fail'),
      [],
    )

    await platform.remove(`/v1/streams/${id}`)
    await until('its topic is removed', async () => !(await dynamicTopics()).includes(topic))
    assert.equal(await platform.stop(), 0, platform.output)
    assert.doesNotMatch(platform.output, /FORBIDDEN/)
  },
)

test('without one of them a platform does not start, and says which is missing', servers, async () => {
  const missing = documentedRights().filter(
    ({ resourceType }) => resourceType === RESOURCES['transactional-id'],
  )
  assert.ok(missing.length > 0)
  await asAdmin((admin) => admin.deleteAcls({ filters: missing }))
  const flags = [
    '--kafka',
    kafka.bootstrap,
    '--simulator',
    simulator.url,
    '--data',
    folder.path,
    '--port',
    '0',
  ]
  const { code, stderr } = await runCommand(['up', ...flags], ENVIRONMENT)
  assert.equal(code, 1, stderr)
  assert.match(stderr, /BROKER_FORBIDDEN/)
  assert.match(stderr, /transactional id tapeline\./)
})
