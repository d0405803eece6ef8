import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Config, type ConfigInput, loadConfig } from '../../src/config.ts'
import { TapelineError } from '../../src/errors.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { needsStore, refuseLonelyRoles, usesFolder } from '../../src/topology/engines/roles.ts'
import { kafkaSettings, serverNames, timescaleSettings } from '../../src/topology/engines/servers.ts'
import { makeCertificate } from '../servers/postgres-files.ts'

const log = createLog({ level: 'silent' })
const folder = mkdtempSync(join(tmpdir(), 'tapeline-engines-'))
after(() => rmSync(folder, { recursive: true }))

function configOf(flags: ConfigInput, environment: Record<string, string> = {}): Config {
  return loadConfig({ environment, flags })
}

function refusal(run: () => unknown): TapelineError {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof TapelineError, String(error))
    assert.equal(error.code, 'CONFIG_INVALID')
    return error
  }
  assert.fail('it was accepted')
}

type Roles = Config['roles']
const KAFKA = { kind: 'kafka' } as const
const TIMESCALE = { kind: 'timescale' } as const

describe('roles', () => {
  const WELL: readonly (readonly [settings: ConfigInput, roles: Roles])[] = [
    [{}, ['producer', 'coordinator', 'consumer-fixed', 'gateway']],
    [{}, ['producer', 'coordinator', 'consumer-fixed']],
    [{}, ['producer', 'coordinator', 'gateway']],
    [{ store: TIMESCALE }, ['producer', 'coordinator', 'consumer-fixed']],
    [{ broker: KAFKA }, ['producer']],
    [{ broker: KAFKA }, ['consumer-fixed', 'gateway']],
    [{ broker: KAFKA, store: TIMESCALE }, ['producer']],
    [{ broker: KAFKA, store: TIMESCALE }, ['coordinator']],
    [{ broker: KAFKA, store: TIMESCALE }, ['consumer-fixed']],
    [{ broker: KAFKA, store: TIMESCALE }, ['gateway']],
  ]
  for (const [settings, roles] of WELL) {
    test(`${roles.join(', ')} on ${JSON.stringify(settings)}`, () => {
      refuseLonelyRoles(configOf({ ...settings, roles: [...roles] }))
    })
  }

  const LONELY: readonly (readonly [settings: ConfigInput, roles: Roles, message: RegExp, remedy: RegExp])[] =
    [
      [{}, ['gateway'], /producer and coordinator/, /broker\.kind to kafka/],
      [{}, ['producer', 'gateway'], /lack coordinator/, /broker\.kind to kafka/],
      [{ store: TIMESCALE }, ['consumer-fixed'], /producer and coordinator/, /broker\.kind to kafka/],
      [{ broker: KAFKA }, ['gateway'], /lack consumer-fixed/, /store\.kind to timescale/],
      [{ broker: KAFKA }, ['producer', 'consumer-fixed'], /lack gateway/, /store\.kind to timescale/],
    ]
  for (const [settings, roles, message, remedy] of LONELY) {
    test(`${roles.join(', ')} alone on ${JSON.stringify(settings)} are refused`, () => {
      const error = refusal(() => refuseLonelyRoles(configOf({ ...settings, roles: [...roles] })))
      assert.match(error.message, message)
      assert.match(error.remedy, remedy)
      assert.equal(error.fields[0]?.field, 'roles')
    })
  }

  test('decide what a process opens', () => {
    const of = (settings: ConfigInput) => {
      const config = configOf(settings)
      return { store: needsStore(config), folder: usesFolder(config) }
    }
    const servers = { broker: KAFKA, store: TIMESCALE }
    assert.deepEqual(of({ ...servers, roles: ['producer', 'coordinator'] }), { store: false, folder: false })
    assert.deepEqual(of({ ...servers, roles: ['gateway'] }), { store: true, folder: false })
    assert.deepEqual(of({ broker: KAFKA, roles: ['producer'] }), { store: false, folder: false })
    assert.deepEqual(of({ broker: KAFKA, roles: ['consumer-fixed', 'gateway'] }), {
      store: true,
      folder: true,
    })
    assert.deepEqual(of({ store: TIMESCALE }), { store: true, folder: true })
  })
})

describe('settings of servers', () => {
  test('a login goes to the broker under its name in the protocol', () => {
    const settings: ConfigInput = { broker: { ...KAFKA, sasl: 'scram-sha-512', username: 'tape' } }
    const { sasl } = kafkaSettings(configOf(settings, { TAPELINE_BROKER_PASSWORD: 'pw' }), log)
    assert.deepEqual(sasl, { mechanism: 'SCRAM-SHA-512', username: 'tape', password: 'pw' })
    assert.equal(kafkaSettings(configOf({ broker: KAFKA }), log).sasl, undefined)
  })

  test('a login that lacks something says which setting', () => {
    const broker = { ...KAFKA, sasl: 'plain' } as const
    const of = (settings: ConfigInput) => refusal(() => kafkaSettings(configOf(settings), log))
    assert.match(of({ broker }).message, /broker\.username/)
    assert.match(of({ broker: { ...broker, username: 'u' } }).remedy, /TAPELINE_BROKER_PASSWORD/)
  })

  test('the database gets its password beside the address', () => {
    const url = 'postgres://u:pw@db:5433/market'
    const config = configOf({ store: TIMESCALE }, { TAPELINE_STORE_URL: url })
    const settings = timescaleSettings(config, log)
    assert.deepEqual([settings.url, settings.password], ['postgres://u@db:5433/market', 'pw'])
  })

  test('names of servers say where, and nothing of who', () => {
    const bootstrap = ['a:9092', 'b:9092']
    const config = configOf(
      { broker: { ...KAFKA, bootstrap }, store: TIMESCALE },
      { TAPELINE_STORE_URL: 'postgres://u:pw@db:5433/market' },
    )
    assert.deepEqual(serverNames(config), {
      broker: 'the broker at a:9092,b:9092',
      store: 'the database at db:5433/market',
    })
    assert.deepEqual(serverNames(configOf({})), { broker: undefined, store: undefined })
  })
})

describe('PEM files', () => {
  const path = (name: string): string => join(folder, name)
  before(async () => {
    for (const name of ['one', 'other']) {
      mkdirSync(path(name))
      await makeCertificate(path(name))
    }
    writeFileSync(path('empty.pem'), 'SECRET-TEXT that is no certificate')
  })

  const kafka = (tls: NonNullable<ConfigInput['broker']>) =>
    kafkaSettings(configOf({ broker: { ...KAFKA, tls: true, ...tls } }), log)

  test('are read as text', () => {
    const files = {
      tlsCa: path('one/server.crt'),
      tlsCert: path('one/server.crt'),
      tlsKey: path('one/server.key'),
    }
    const { tls } = kafka(files)
    assert.match(tls?.ca ?? '', /^-----BEGIN CERTIFICATE-----/)
    assert.match(tls?.cert ?? '', /^-----BEGIN CERTIFICATE-----/)
    assert.match(tls?.key ?? '', /^-----BEGIN PRIVATE KEY-----/)
    assert.deepEqual(kafka({}).tls, {}, 'the authorities of Node')
    assert.equal(kafkaSettings(configOf({ broker: { ...KAFKA, ...files } }), log).tls, undefined, 'no TLS')
    const store = { ...TIMESCALE, tls: 'verify' as const, tlsCa: path('one/server.crt') }
    assert.match(timescaleSettings(configOf({ store }), log).ca ?? '', /BEGIN CERTIFICATE/)
  })

  const BAD: readonly (readonly [what: string, tls: NonNullable<ConfigInput['broker']>, message: RegExp])[] =
    [
      ['a file that is not there', { tlsCa: path('none.pem') }, /broker\.tlsCa.*ENOENT/],
      ['a file that is no certificate', { tlsCa: path('empty.pem') }, /broker\.tlsCa.*not a certificate/],
      ['a key as an authority', { tlsCa: path('one/server.key') }, /broker\.tlsCa.*not a certificate/],
      [
        'a key where its file belongs',
        { tlsCert: path('one/server.crt'), tlsKey: '-----BEGIN PRIVATE KEY-----\nSECRET-TEXT' },
        /broker\.tlsKey is no path/,
      ],
      ['a certificate without its key', { tlsCert: path('one/server.crt') }, /broker\.tlsKey is missing/],
      ['a key without its certificate', { tlsKey: path('one/server.key') }, /broker\.tlsCert is missing/],
      [
        'a key of another certificate',
        { tlsCert: path('one/server.crt'), tlsKey: path('other/server.key') },
        /broker\.tlsCert/,
      ],
      [
        'a key that is none',
        { tlsCert: path('one/server.crt'), tlsKey: path('empty.pem') },
        /broker\.tlsCert/,
      ],
    ]
  for (const [what, tls, message] of BAD) {
    test(`${what} is refused by its setting, without its text`, () => {
      const error = refusal(() => kafka(tls))
      assert.match(error.message, message)
      assert.match(error.remedy, /PEM file/)
      assert.doesNotMatch(JSON.stringify([error.message, error.fields, error.stack]), /SECRET-TEXT|BEGIN|MII/)
    })
  }

  test('the authority of the database is checked the same way', () => {
    const store = { ...TIMESCALE, tlsCa: path('empty.pem') }
    assert.match(refusal(() => timescaleSettings(configOf({ store }), log)).message, /store\.tlsCa/)
  })
})
