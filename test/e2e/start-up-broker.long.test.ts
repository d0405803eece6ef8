import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { requireServer } from '../servers/availability.ts'
import { kafkaMissing, startKafka } from '../servers/kafka.ts'
import { interrupt, startCommand, until, untilReady } from './platform-process.ts'
import { assertRefused, onServers, outputOf, SECRET } from './start-up.ts'

const USERS = { admin: `${SECRET}-admin`, tapeline: `${SECRET}-user` }

/** Roles that need no database: what is wrong can only be the broker. */
const ROLES = ['--roles', 'producer,coordinator']

describe('up and doctor on a Kafka broker', requireServer(kafkaMissing()), () => {
  const { its, data } = onServers(
    () => startKafka({ tls: true, sasl: { mechanism: 'SCRAM-SHA-512', users: USERS }, acls: true }),
    () => startKafka(),
  )

  /** A login that the broker takes; `changes` make it wrong. */
  const login = (changes: Record<string, string> = {}): Record<string, string> => ({
    TAPELINE_BROKER_TLS: 'true',
    TAPELINE_BROKER_TLS_CA: its().ca,
    TAPELINE_BROKER_SASL: 'scram-sha-512',
    TAPELINE_BROKER_USERNAME: 'admin',
    TAPELINE_BROKER_PASSWORD: USERS.admin,
    ...changes,
  })

  test('a wrong password', () =>
    assertRefused({
      args: [...ROLES, '--kafka', its().server.bootstrap, ...data()],
      environment: login({ TAPELINE_BROKER_PASSWORD: `${SECRET}-wrong` }),
      code: 'BROKER_UNAUTHORIZED',
      says: new RegExp(its().server.bootstrap),
      finding: ['broker', /BROKER_UNAUTHORIZED/],
    }))

  test('no password', () =>
    assertRefused({
      args: [...ROLES, '--kafka', its().server.bootstrap, ...data()],
      environment: login({ TAPELINE_BROKER_PASSWORD: '' }),
      code: 'CONFIG_INVALID',
      says: /broker\.passwordFile/,
      finding: ['broker', /CONFIG_INVALID/],
    }))

  test('an unknown host', () =>
    assertRefused({
      args: [...ROLES, '--kafka', 'no-such-host.invalid:9092', ...data()],
      code: 'BROKER_HOST_UNKNOWN',
      says: /no-such-host\.invalid/,
      finding: ['broker', /BROKER_HOST_UNKNOWN/],
    }))

  test('a listener that speaks TLS, asked without', () =>
    assertRefused({
      args: [...ROLES, '--kafka', its().server.bootstrap, ...data()],
      environment: login({ TAPELINE_BROKER_TLS: 'false' }),
      code: 'BROKER_TLS_FAILED',
      says: /TLS/,
      finding: ['broker', /BROKER_TLS_FAILED/],
    }))

  test('a listener that speaks no TLS', () =>
    assertRefused({
      args: [...ROLES, '--kafka', its().plain.bootstrap, ...data()],
      environment: { TAPELINE_BROKER_TLS: 'true' },
      code: 'BROKER_TLS_FAILED',
      says: /TLS|SSL/,
      finding: ['broker', /BROKER_TLS_FAILED/],
    }))

  test('a login where the listener takes none', () =>
    assertRefused({
      args: [...ROLES, '--kafka', its().plain.bootstrap, ...data()],
      environment: login({ TAPELINE_BROKER_TLS: 'false' }),
      code: 'BROKER_LOGIN_MISMATCH',
      says: /login/,
      remedy: /broker\.sasl/,
      finding: ['broker', /BROKER_LOGIN_MISMATCH/],
    }))

  test('a certificate of another authority', () =>
    assertRefused({
      args: [...ROLES, '--kafka', its().server.bootstrap, ...data()],
      environment: login({ TAPELINE_BROKER_TLS_CA: its().otherCa }),
      code: 'BROKER_TLS_FAILED',
      says: /certificate/,
      finding: ['broker', /BROKER_TLS_FAILED/],
    }))

  test('a user without rights', () =>
    assertRefused({
      args: [...ROLES, '--kafka', its().server.bootstrap, ...data()],
      environment: login({ TAPELINE_BROKER_USERNAME: 'tapeline', TAPELINE_BROKER_PASSWORD: USERS.tapeline }),
      code: 'BROKER_FORBIDDEN',
      says: /\w/,
      finding: ['broker rights', /\w/],
    }))

  test('another number of partitions than the topics have', async () => {
    const args = [
      'up',
      '--port',
      '0',
      ...ROLES,
      '--kafka',
      its().server.bootstrap,
      '--simulator',
      'http://127.0.0.1:1',
    ]
    const [, path = ''] = data()
    const child = startCommand([...args, '--log-level', 'debug', '--data', path], login())
    const output = outputOf(child)
    await untilReady(child, path, () => output.stderr)
    assert.equal(await interrupt(child), 0)
    assert.match(output.stderr, /"level":"debug"/)
    assert.ok(!`${output.stdout}${output.stderr}`.includes(SECRET), 'no secret in the log')
    await assertRefused({
      args: [...ROLES, '--kafka', its().server.bootstrap, ...data()],
      environment: login({ TAPELINE_TOPICS_PARTITIONS: '8' }),
      code: 'PARTITIONS_CHANGED',
      says: /4 partitions.* 8/,
      remedy: /topics\.partitions to 4.*topics\.prefix/,
      finding: ['broker topics', /has 4 partitions, the configuration says 8/],
    })
  })

  test('a broker that comes later is waited for, said in one line, and a wait ends with Ctrl-C', async () => {
    await its().plain.kill()
    const args = [
      'up',
      '--port',
      '0',
      ...ROLES,
      '--kafka',
      its().plain.bootstrap,
      '--simulator',
      'http://127.0.0.1:1',
    ]
    const [path, other] = [join(its().folder, 'late'), join(its().folder, 'given-up')]
    const child = startCommand([...args, '--data', path])
    const impatient = startCommand([...args, '--data', other])
    const [output, saying] = [outputOf(child), outputOf(impatient)]
    const isWaiting = ({ stderr }: { stderr: string }): boolean => stderr.includes('waiting for')
    await until('both wait', () => isWaiting(output) && isWaiting(saying))
    assert.equal(await interrupt(impatient), 0, saying.stderr)

    await its().plain.restart()
    await untilReady(child, path, () => output.stderr)
    const lines = output.stderr.split('\n').filter((line) => line.includes('waiting for'))
    assert.equal(lines.length, 1, output.stderr)
    const { server: named, code } = JSON.parse(lines[0] ?? '')
    assert.deepEqual([named, code], [`the broker at ${its().plain.bootstrap}`, 'BROKER_UNAVAILABLE'])
    await until('it says that it runs', () => output.stdout.includes('Tapeline runs'))
    assert.match(output.stdout, /producer, coordinator, on the broker at .*, health and metrics at http/)
    assert.equal(await interrupt(child), 0, output.stderr)
  })
})
