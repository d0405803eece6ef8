import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { cryptocompare } from '../../src/adapters/source/cryptocompare/source.ts'
import { command as simulate } from '../../src/cli/simulate.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { ROLES } from '../../src/config-schema.ts'
import { END_WITHIN_S, imageEnvironment, PINNED, pathOf, readText, readYaml, VERSION } from './files.ts'

/** The keys that are used here; the whole schema of Compose is not in any package that could be had. */
const serviceSchema = z.strictObject({
  image: z.string().regex(PINNED),
  build: z.literal('.').optional(),
  hostname: z.string().optional(),
  profiles: z.tuple([z.literal('roles')]).optional(),
  restart: z.literal('unless-stopped'),
  command: z.array(z.string()).optional(),
  read_only: z.literal(true).optional(),
  cap_drop: z.tuple([z.literal('ALL')]).optional(),
  security_opt: z.tuple([z.literal('no-new-privileges:true')]).optional(),
  stop_grace_period: z.string().regex(/^\d+s$/),
  tmpfs: z.array(z.string()).optional(),
  shm_size: z.string().optional(),
  configs: z.array(z.strictObject({ source: z.string(), target: z.string() })).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  ports: z.array(z.string().regex(/^127\.0\.0\.1:\S+:\d+$/, 'is reached from other machines')).optional(),
  volumes: z.array(z.string().regex(/^[a-z]+:\/\S+$/, 'is no named volume')).optional(),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.literal('service_healthy') })).optional(),
  healthcheck: z
    .strictObject({
      test: z.array(z.string()),
      interval: z.string(),
      timeout: z.string(),
      retries: z.number().int(),
      start_period: z.string(),
    })
    .optional(),
})

const composeSchema = z.strictObject({
  name: z.string(),
  'x-process': z.unknown(),
  'x-tapeline': z.unknown(),
  services: z.record(z.string(), serviceSchema),
  configs: z.record(z.string(), z.strictObject({ file: z.string() })),
  volumes: z.record(z.string(), z.null()),
})

const compose = composeSchema.parse(readYaml('compose.yaml')[0])
const services = Object.entries(compose.services)
/** The services that run a platform. */
const platforms = services.filter(([, { configs }]) => configs !== undefined)

const SECRETS = { TAPELINE_API_KEY: 'key-of-admin', TAPELINE_STORE_PASSWORD: 'secret' }

/** Replaces variables as Compose does: `${A}`, `${A:-other}`, `${A:+other}`, `${A:?message}`. Rejects any other form. */
function interpolate(text: string, variables: Record<string, string>): string {
  return text.replace(/\$\{(\w+)(?::([-+?])([^}]*))?\}/g, (_all, name: string, form = '', other = '') => {
    const value = variables[name] ?? ''
    if (form === '+') return value === '' ? '' : other
    if (value !== '' || form === '') return value
    if (form === '?') throw new Error(`${name}: ${other}`)
    return other
  })
}

/** What a process of a service is configured with, where `.env` has these variables. */
function configOf(name: string, variables: Record<string, string> = SECRETS): Config {
  const { environment = {}, command = [] } = compose.services[name] ?? {}
  const given = Object.entries(environment).map(([key, text]) => [key, interpolate(text, variables)])
  const roles = command[command.indexOf('--roles') + 1]
  return loadConfig({
    file: pathOf(compose.configs['tapeline']?.file.slice(2) ?? ''),
    environment: { ...imageEnvironment(), ...Object.fromEntries(given) },
    flags: command.length === 0 ? {} : { roles: ROLES.filter((role) => role === roles) },
  })
}

describe('compose.yaml', () => {
  test('has one image of Tapeline, of this version, and every service stops in its own time', () => {
    for (const [name, { image, build, stop_grace_period }] of services) {
      if (build !== undefined) assert.equal(image, `tapeline:${VERSION}`, name)
      assert.ok(Number.parseInt(stop_grace_period, 10) > END_WITHIN_S, name)
    }
    assert.equal(services.filter(([, { build }]) => build !== undefined).length, 6)
  })

  test('shuts in what it builds', () => {
    for (const [name, { build, read_only, cap_drop, security_opt }] of services) {
      if (build !== undefined) assert.ok(read_only && cap_drop && security_opt, name)
    }
  })

  test('waits for services that there are and that tell their health', () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const needed of Object.keys(depends_on))
        assert.ok(compose.services[needed]?.healthcheck, `${name}: ${needed}`)
    }
    for (const [name, { depends_on = {} }] of platforms)
      assert.deepEqual(Object.keys(depends_on).sort(), ['redpanda', 'simulator', 'timescaledb'], name)
  })

  test('names volumes and configurations that there are', () => {
    for (const [name, { volumes = [], configs = [] }] of services) {
      for (const volume of volumes) assert.ok((volume.split(':')[0] ?? '') in compose.volumes, name)
      for (const { source, target } of configs) {
        assert.ok(source in compose.configs, name)
        assert.equal(target, '/etc/tapeline/tapeline.yaml', 'where the image looks')
      }
    }
    assert.match(readText('Dockerfile'), /^WORKDIR \/etc\/tapeline$/m)
  })

  test('does not start without secrets, and says how to make them', () => {
    for (const missing of Object.keys(SECRETS)) {
      const { [missing as keyof typeof SECRETS]: _left_out, ...others } = SECRETS
      const environments = services.flatMap(([, { environment = {} }]) => Object.values(environment))
      assert.throws(
        () => environments.map((text) => interpolate(text, others)),
        new RegExp(`${missing}: not set - the first lines of compose.yaml say how to make .env`),
      )
    }
    assert.match(
      readText('compose.yaml').slice(0, 500),
      /printf 'TAPELINE_API_KEY=%s\\nTAPELINE_STORE_PASSWORD=%s/,
    )
  })

  test('runs the roles that it says, on its own servers, with keys', () => {
    for (const [name] of platforms) {
      const config = configOf(name)
      assert.deepEqual(config.roles, name === 'tapeline' ? ROLES : [name])
      assert.deepEqual([config.broker.kind, config.broker.bootstrap], ['kafka', ['redpanda:9092']])
      assert.deepEqual([config.store.kind, config.storePassword], ['timescale', 'secret'])
      assert.deepEqual(config.apiKeys, [{ name: 'admin', key: 'key-of-admin' }])
    }
    assert.deepEqual(platforms.map(([name]) => name).sort(), [...ROLES, 'tapeline'].sort())
  })

  test('takes roles and further applications from .env', () => {
    const variables = {
      TAPELINE_ROLES: 'gateway,coordinator',
      TAPELINE_APPLICATION_KEYS: 'reports:another-key',
    }
    const config = configOf('tapeline', { ...SECRETS, ...variables })
    assert.deepEqual(config.roles, ['gateway', 'coordinator'])
    assert.deepEqual(
      config.apiKeys.map(({ name }) => name),
      ['admin', 'reports'],
    )
  })

  test('reads the simulator without a key, and CryptoCompare itself with one', () => {
    const simulated = configOf('tapeline')
    assert.equal(simulated.source.url, 'ws://simulator:8089/v2')
    assert.equal(simulated.source.restUrl, 'http://simulator:8089')
    const real = configOf('tapeline', { ...SECRETS, CRYPTOCOMPARE_API_KEY: 'mine' })
    assert.deepEqual(
      [real.source.url, real.source.restUrl, real.sourceKeys.cryptocompare],
      [cryptocompare.socket, cryptocompare.rest, 'mine'],
    )
  })

  test('starts the simulator with flags that there are, where the source looks for it', () => {
    const { command = [], healthcheck } = compose.services['simulator'] ?? {}
    assert.equal(command[0], simulate.name)
    for (const flag of command.filter((word) => word.startsWith('--')))
      assert.ok(flag.slice(2) in (simulate.options ?? {}), flag)
    assert.equal(command[command.indexOf('--port') + 1], '8089')
    assert.equal(command[command.indexOf('--host') + 1], '0.0.0.0')
    assert.ok(healthcheck?.test.join(' ').includes('//127.0.0.1:8089/stats'))
  })

  test('gives the database the user and the name that the address has', () => {
    const { username, pathname } = new URL(configOf('tapeline').store.url)
    const { POSTGRES_USER, POSTGRES_DB } = compose.services['timescaledb']?.environment ?? {}
    assert.deepEqual([username, pathname], [POSTGRES_USER, `/${POSTGRES_DB}`])
    const [, major = ''] = /-pg(\d+)$/.exec(compose.services['timescaledb']?.image ?? '') ?? []
    assert.ok(Number(major) >= 15 && Number(major) <= 18)
  })

  test('publishes the port that the image listens on', () => {
    const { gateway } = configOf('tapeline')
    for (const [name, { ports = [] }] of services)
      for (const port of ports) assert.ok(port.endsWith(`:${gateway.port}`), name)
  })
})
