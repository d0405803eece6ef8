import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Config, type ConfigInput, loadConfig, sourcesOf, withOneSource } from '../src/config.ts'
import { unknownVariables } from '../src/config-environment.ts'
import { environmentName, settingPaths } from '../src/config-schema.ts'
import { TapelineError } from '../src/errors.ts'

const folder = mkdtempSync(join(tmpdir(), 'tapeline-config-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0

function fileOf(text: string): string {
  const path = join(folder, `${files++}.yaml`)
  writeFileSync(path, text)
  return path
}

interface Given {
  readonly yaml?: string
  readonly environment?: Record<string, string>
  readonly flags?: ConfigInput
}

/** Never without a file: a tapeline.yaml of whoever runs the tests is none of theirs. */
function load({ yaml = '', environment = {}, flags = {} }: Given): Config {
  return loadConfig({ file: fileOf(yaml), environment, flags })
}

function refusal(given: Given): TapelineError {
  try {
    load(given)
  } catch (error) {
    assert.ok(error instanceof TapelineError, String(error))
    assert.equal(error.code, 'CONFIG_INVALID')
    return error
  }
  assert.fail(`accepted: ${JSON.stringify(given)}`)
}

/** Settings in the shape of the file, with one of them set. */
function settingsWith(path: readonly string[], value: unknown): string {
  return JSON.stringify(path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value))
}

test('the prefixes of topics must not lie within one another', () => {
  assert.equal(
    load({ flags: { topics: { prefix: 'team.market', dynamicPrefix: 'team.app' } } }).topics.prefix,
    'team.market',
  )
  assert.equal(
    load({ flags: { topics: { dynamicPrefix: 'market-app' } } }).topics.dynamicPrefix,
    'market-app',
  )
  for (const [topics, field] of [
    [{ dynamicPrefix: 'market' }, 'topics.dynamicPrefix'],
    [{ dynamicPrefix: 'market.app' }, 'topics.dynamicPrefix'],
    [{ prefix: 'tapeline.market' }, 'topics.controlPrefix'],
    [{ controlPrefix: 'tapeline.' }, 'topics.controlPrefix'],
    [{ controlPrefix: 'a'.repeat(65) }, 'topics.controlPrefix'],
  ] as const) {
    const { fields } = refusal({ flags: { topics } })
    assert.deepEqual(
      fields.map((each) => each.field),
      [field],
    )
  }
})

describe('where settings come from', () => {
  test('the defaults need nothing', () => {
    const config = load({})
    assert.equal(config.data, '.tapeline')
    assert.equal(config.topics.retention, 7 * 86_400_000)
    assert.equal(config.gateway.port, 8080)
    assert.deepEqual(config.roles, ['producer', 'coordinator', 'consumer-fixed', 'gateway'])
    assert.deepEqual(config.streams.standing, {})
    assert.deepEqual(config.sourceKeys, {})
    assert.deepEqual(config.apiKeys, [])
  })

  test('the environment goes over the file, flags over both, each setting by itself', () => {
    const yaml = 'gateway: {host: 127.0.0.2, port: 1001}\nlog: {level: error}\nstreams: {grace: 5s}'
    const environment = { TAPELINE_GATEWAY_PORT: '1002', TAPELINE_LOG_LEVEL: 'debug' }
    const config = load({ yaml, environment, flags: { gateway: { port: 1003 } } })
    assert.deepEqual([config.gateway.host, config.gateway.port], ['127.0.0.2', 1003])
    assert.equal(config.log.level, 'debug')
    assert.equal(config.streams.grace, 5_000)
    assert.equal(load({ yaml, environment }).gateway.port, 1002)
    assert.equal(load({ yaml }).gateway.port, 1001)
  })

  test('a list is a list in the file and text with commas in the environment', () => {
    const markets = ['coinbase:BTC-USD', 'kraken:ETH-EUR']
    assert.deepEqual(load({ yaml: settingsWith(['source', 'markets'], markets) }).source.markets, markets)
    const environment = { TAPELINE_SOURCE_MARKETS: markets.join(',') }
    assert.deepEqual(load({ environment }).source.markets, markets)
  })

  test('sites are written as browsers write them', () => {
    const environment = {
      TAPELINE_GATEWAY_ORIGINS: 'https://App.Example.com:443/, https://*.example.com http://*.localhost:3000',
    }
    assert.deepEqual(load({ environment }).gateway.origins, [
      'https://app.example.com',
      'https://*.example.com',
      'http://*.localhost:3000',
    ])
  })

  test('variables that look like ours and are none are named, with what is near and without a value', () => {
    const environment = {
      TAPELINE_GATEWAY_PROT: 'geheim',
      TAPELINE_STORE_PASWORD: 'geheim',
      TAPELINE_NOTHING_OF_THE_KIND: 'geheim',
      TAPELINE_EMPTY: '',
      TAPELINE_API_KEYS: 'alice:geheim-geheim',
      TAPELINE_GATEWAY_HOST: '127.0.0.1',
      TAPELINE_SERVICE_HOST: '10.0.0.1',
      TAPELINE_PORT: 'tcp://10.0.0.1:8080',
      TAPELINE_GATEWAY_PORT_8080_TCP_ADDR: '10.0.0.1',
      PATH: '/bin',
    }
    assert.deepEqual(load({ environment }).unknownVariables, [
      'TAPELINE_GATEWAY_PROT (near to TAPELINE_GATEWAY_PORT)',
      'TAPELINE_NOTHING_OF_THE_KIND',
      'TAPELINE_STORE_PASWORD (near to TAPELINE_STORE_PASSWORD)',
    ])
  })

  test('every variable that the pages name is one', () => {
    const docs = new URL('../docs/', import.meta.url)
    // Those of the file .env, and of tests.
    const others = new Set(['deploy.md', 'testing.md'])
    const pages = readdirSync(docs).filter((page) => page.endsWith('.md') && !others.has(page))
    const texts = pages.map((page) => readFileSync(new URL(page, docs), 'utf8'))
    const named = new Set(texts.join(' ').match(/\bTAPELINE_[A-Z0-9_]*[A-Z0-9]\b/g))
    assert.ok(named.size > 50, `${named.size} are named`)
    const found = unknownVariables(Object.fromEntries([...named].map((name) => [name, 'x'])))
    assert.deepEqual(found, [])
  })

  test('an empty variable counts as not set', () => {
    assert.equal(load({ environment: { TAPELINE_LOG_LEVEL: '' } }).log.level, 'info')
  })

  test('durations are text or seconds', () => {
    const of = (grace: string) => load({ yaml: `streams: {grace: ${grace}}` }).streams.grace
    assert.equal(of('250ms'), 250)
    assert.equal(of('90'), 90_000)
    assert.equal(of('1.5h'), 5_400_000)
    assert.equal(of('2d'), 172_800_000)
  })

  test('without a name of a file tapeline.yaml of the current folder is read', (t) => {
    const former = process.cwd()
    const own = mkdtempSync(join(folder, 'own-'))
    t.after(() => process.chdir(former))
    process.chdir(own)
    assert.equal(loadConfig({ environment: {} }).gateway.port, 8080)
    writeFileSync('tapeline.yaml', 'gateway: {port: 1234}')
    assert.equal(loadConfig({ environment: {} }).gateway.port, 1234)
  })

  test('the example in the root can be used as it is', () => {
    const file = fileURLToPath(new URL('../tapeline.example.yaml', import.meta.url))
    const config = loadConfig({ file, environment: {} })
    assert.equal(config.source.kind, 'coinbase')
    assert.deepEqual(config.streams.standing['btc-trades'], { channel: 'trade', symbols: ['BTC-*'] })
    assert.equal(config.store.retention, 30 * 86_400_000)
  })
})

describe('what is not acceptable', () => {
  test('what would make no sense in use is refused as well', () => {
    const refused = [
      'gateway: {port: }',
      'store: {retention: 10m}',
      'streams: {retention: 0}',
      'topics: {retention: 1s}',
    ]
    for (const yaml of refused) assert.equal(refusal({ yaml }).code, 'CONFIG_INVALID', yaml)
    assert.equal(load({ yaml: 'store: {retention: 0}' }).store.retention, 0)
    const standing = refusal({ yaml: 'streams: {standing: {a: {channel: trade, symbols: ["*"], ttl: 60}}}' })
    assert.equal(standing.fields[0]?.field, 'streams.standing.a.ttl')
  })

  test('a source may have a fallback: a kind, or an object', () => {
    const environment = { TAPELINE_SOURCE_KIND: 'coinbase', TAPELINE_SOURCE_FALLBACK: 'cryptocompare' }
    const { fallback } = load({ environment }).source
    assert.deepEqual([fallback?.kind, fallback?.after], ['cryptocompare', 30_000])
    const yaml = 'source: {kind: okx, fallback: {kind: okx, after: 5s, url: "wss://127.0.0.1:9"}}'
    assert.equal(load({ yaml }).source.fallback?.after, 5_000)
    const [unknown] = refusal({ yaml: 'source: {fallback: krakn}' }).fields
    assert.deepEqual([unknown?.field, unknown?.value], ['source.fallback.kind', 'krakn'])
    const secret = refusal({ yaml: 'source: {fallback: {kind: okx, url: "ftp://user:hunter22@x"}}' })
    assert.equal(secret.fields[0]?.field, 'source.fallback.url')
    assert.ok(!secret.message.includes('hunter22'))
  })

  test('several sources: each kind once, none beside the one source', () => {
    const sources = ['coinbase', 'kraken']
    const environment = { TAPELINE_SOURCES: 'coinbase, kraken' }
    assert.deepEqual(
      sourcesOf(load({ environment })).map(({ kind }) => kind),
      sources,
    )
    const yaml = 'sources: [coinbase, {kind: kraken, markets: kraken:BTC-USD}]'
    assert.deepEqual(
      sourcesOf(load({ yaml })).map(({ kind }) => kind),
      sources,
    )
    assert.equal(refusal({ yaml: 'sources: [okx, okx]' }).fields[0]?.field, 'sources.1.kind')
    assert.equal(refusal({ yaml: 'sources: [okx]\nsource: {kind: okx}' }).fields[0]?.field, 'sources')
    const [wrong] = refusal({ yaml: 'sources: [coinbase, coinbse]' }).fields
    assert.deepEqual([wrong?.field, wrong?.value], ['sources.1.kind', 'coinbse'])
    assert.match(wrong?.message ?? '', /; did you mean coinbase\?$/)
    assert.equal(wrong?.remedy, 'Correct sources.1.kind, or TAPELINE_SOURCES.')
    for (const given of [
      { yaml: 'source: {kind: [coinbase, nosuch]}' },
      { environment: { TAPELINE_SOURCE_KIND: 'coinbase,nosuch' } },
    ]) {
      const [several] = refusal(given).fields
      assert.equal(several?.field, 'source.kind')
      assert.equal(
        several?.message,
        'has 2 kinds where one belongs: several sources are a list in sources; there is no source nosuch',
      )
    }
    const secret = refusal({ yaml: 'sources: [{kind: okx, url: "ftp://user:hunter22@x"}]' })
    assert.equal(secret.fields[0]?.field, 'sources.0.url')
    assert.ok(!JSON.stringify(secret.fields).includes('hunter22'))
    // A flag such as --live names the one source that is meant.
    assert.deepEqual(
      sourcesOf(load({ yaml, flags: { source: { kind: 'coinbase' } } })).map(({ kind }) => kind),
      ['coinbase'],
    )
  })

  test('one source alone has the settings that the configuration has for it, or the usual ones', () => {
    const config = load({
      yaml: 'sources: [coinbase, {kind: kraken, markets: kraken:BTC-USD, restUrl: "http://127.0.0.1:9"}]',
    })
    const own = sourcesOf(config)[1]
    assert.deepEqual(sourcesOf(withOneSource(config, { kind: 'kraken' })), [own])
    const [other] = sourcesOf(withOneSource(config, { kind: 'kraken', markets: ['kraken:ETH-USD'] }))
    assert.deepEqual(other, { ...own, markets: ['kraken:ETH-USD'] })
    const [okx, ...more] = sourcesOf(withOneSource(config, { kind: 'okx' }))
    assert.deepEqual([okx?.kind, okx?.restUrl, more], ['okx', undefined, []])
    for (const [wanted, field] of [
      [{ kind: 'krakn' }, 'sources.0.kind'],
      [{ kind: 'kraken', markets: ['BTC-USD'] }, 'sources.0.markets.0'],
    ] as const)
      assert.throws(
        () => withOneSource(config, wanted),
        (error) => error instanceof TapelineError && error.fields[0]?.field === field,
      )
  })

  for (const path of settingPaths()) {
    const key = path.join('.')
    test(`${key} refuses nonsense by name, with a remedy`, () => {
      const error = refusal({ yaml: settingsWith(path, { nonsense: true }) })
      const [field, ...others] = error.fields
      // An object may also lack what it needs.
      assert.deepEqual(
        others.filter((other) => !other.field.startsWith(`${key}.`)),
        [],
      )
      assert.ok(field, key)
      assert.ok(field.field.startsWith(key), field.field)
      assert.ok(field.message.length > 0)
      // Streams by name can be given in the file only.
      const variable = key === 'streams.standing' ? 'Correct' : environmentName(path)
      assert.ok(field.remedy.includes(variable), field.remedy)
      assert.ok(error.message.includes(key), error.message)
    })
  }

  const BAD: readonly (readonly [key: string, value: unknown])[] = [
    ['data', ''],
    ['roles', ['producer', 'janitor']],
    ['source.kind', 'ftx'],
    ['source.markets', ['BTC-USD']],
    ['source.channels', ['status']],
    ['source.timeout', 0],
    ['topics.prefix', 'Market.x'],
    ['topics.partitions', 0],
    ['topics.partitions', 65],
    ['topics.partitions', 1.5],
    ['topics.retention', 'a week'],
    ['topics.retention', -1],
    ['topics.retention', '20000d'],
    ['streams.maxPerApplication', 0],
    ['streams.standing', { UPPER: { channel: 'trade', symbols: ['*'] } }],
    ['streams.standing', { 'no-channel': { symbols: ['*'] } }],
    ['streams.standing', { 'no-symbols': { channel: 'trade', symbols: [] } }],
    ['streams.standing', { 'short-ttl': { channel: 'trade', symbols: ['*'], ttl: 1 } }],
    ['consumerFixed.maxRows', 99],
    ['broker.durability', 'maybe'],
    ['broker.kind', 'redpanda'],
    ['broker.bootstrap', []],
    ['broker.bootstrap', ['broker-1']],
    ['broker.bootstrap', ['broker-1:99999']],
    ['broker.bootstrap', 'broker-1:0'],
    ['broker.bootstrap', 'kafka://broker-1:9092'],
    ['broker.bootstrap', ' , '],
    ['roles', ','],
    ['source.url', 'localhost:8089'],
    ['source.url', 'ws://localhost:99999'],
    ['source.url', 'https://feed.example.com'],
    ['source.url', 'wss://feed.example.com/a#b'],
    ['source.restUrl', 'feed'],
    ['source.restUrl', 'http://localhost:0'],
    ['store.url', 'postgres://u@db:99999/x'],
    ['store.url', 'postgres://u@db:0/x'],
    ['gateway.host', '127.0.0.1:8080'],
    ['gateway.host', '300.1.1.1'],
    ['gateway.host', 'http://127.0.0.1'],
    ['operations.host', 'two hosts'],
    ['broker.tls', 'yes'],
    ['broker.sasl', 'gssapi'],
    ['broker.compression', 'brotli'],
    ['broker.replication', 17],
    ['store.kind', 'postgres'],
    ['store.url', 'mysql://db/x'],
    ['store.tls', true],
    ['store.lanes', 0],
    ['store.statementTimeout', '100ms'],
    ['operations.port', -1],
    ['gateway.host', ''],
    ['gateway.port', 65_536],
    ['gateway.port', 'http'],
    ['gateway.origins', ['app.example.com']],
    ['gateway.origins', ['*']],
    ['gateway.origins', ['null']],
    ['gateway.origins', ['https://*.com']],
    ['gateway.origins', ['https://a.*.example.com']],
    ['gateway.origins', ['https://app.example.com/page']],
    ['gateway.origins', ['wss://app.example.com']],
    ['gateway.tlsMinVersion', 'TLSv1.1'],
    ['log.level', 'loud'],
  ]
  for (const [key, value] of BAD) {
    test(`${key} is not ${JSON.stringify(value)}`, () => {
      const { fields } = refusal({ yaml: settingsWith(key.split('.'), value) })
      assert.ok(
        fields.some(({ field, remedy }) => field.startsWith(key) && remedy.length > 0),
        JSON.stringify(fields),
      )
    })
  }

  test('blanks round the entries of a list do not count; a wrong entry is named with its value', () => {
    const environment = { TAPELINE_SOURCE_MARKETS: ' kraken:BTC-USD , coinbase:ETH-USD,' }
    assert.deepEqual(load({ environment }).source.markets, ['kraken:BTC-USD', 'coinbase:ETH-USD'])
    const { fields, message } = refusal({ environment: { TAPELINE_SOURCE_MARKETS: 'kraken:BTC-USD, wrong' } })
    assert.deepEqual([fields[0]?.field, fields[0]?.value], ['source.markets.1', 'wrong'])
    assert.match(message, /source\.markets\.1 = "wrong"/)
  })

  test('a list may have blanks, several commas and empty entries, as text and in the file', () => {
    const two = ['broker-1:9092', '[::1]:9092']
    const of = (bootstrap: unknown) => load({ yaml: settingsWith(['broker', 'bootstrap'], bootstrap) })
    for (const text of [
      'broker-1:9092, [::1]:9092',
      ' broker-1:9092  [::1]:9092,,',
      'broker-1:9092,\n[::1]:9092',
    ]) {
      assert.deepEqual(of(text).broker.bootstrap, two, text)
      const environment = { TAPELINE_BROKER_BOOTSTRAP: text }
      assert.deepEqual(load({ environment }).broker.bootstrap, two, text)
      assert.deepEqual(load({ flags: { broker: { bootstrap: text } } }).broker.bootstrap, two, text)
    }
    assert.deepEqual(of([' broker-1:9092 ', '', '[::1]:9092']).broker.bootstrap, two)
    assert.deepEqual(of(['broker-1:9092,[::1]:9092']).broker.bootstrap, two)
    const { fields } = refusal({ yaml: settingsWith(['source', 'markets'], ['', 'kraken:BTC-USD', 'wrong']) })
    assert.deepEqual([fields[0]?.field, fields[0]?.value], ['source.markets.1', 'wrong'])
  })

  test('blanks round a variable do not count, nor brackets round an IPv6 address to listen on', () => {
    const environment = {
      TAPELINE_BROKER_KIND: 'kafka\n',
      TAPELINE_GATEWAY_HOST: ' [::1] ',
      TAPELINE_DATA: ' ',
    }
    const { broker, gateway, data } = load({ environment })
    assert.deepEqual([broker.kind, gateway.host, data], ['kafka', '::1', '.tapeline'])
  })

  test('a port that cannot be is said to be one', () => {
    for (const yaml of [
      'broker: {bootstrap: "db:99999"}',
      'store: {url: "postgres://u@db:99999/x"}',
      'store: {url: "postgres://u@db:0"}',
    ])
      assert.match(refusal({ yaml }).message, /has a port that is not from 1 to 65535/, yaml)
  })

  test('all of them are named at once', () => {
    const { fields } = refusal({
      yaml: 'log: {level: loud}\ntopics: {partitions: 0}',
      environment: { TAPELINE_GATEWAY_PORT: 'http' },
    })
    assert.deepEqual(fields.map(({ field }) => field).sort(), [
      'gateway.port',
      'log.level',
      'topics.partitions',
    ])
  })

  test('a setting that does not exist is named with its place', () => {
    const { fields } = refusal({ yaml: 'gatway: {port: 1}\ntopics: {partition: 8}' })
    assert.deepEqual(fields.map(({ field }) => field).sort(), ['gatway', 'topics.partition'])
    for (const { remedy } of fields) assert.match(remedy, /docs\/configuration\.md/)
  })

  const UNREADABLE: readonly (readonly [what: string, yaml: string])[] = [
    ['a list', '- gateway\n- log'],
    ['a text', 'gateway'],
    ['no YAML', 'gateway: {port: 1'],
  ]
  for (const [what, yaml] of UNREADABLE) {
    test(`a file that is ${what} is refused by its path`, () => {
      assert.match(refusal({ yaml }).message, /\.yaml/)
    })
  }

  test('a file that is named must exist', () => {
    const file = join(folder, 'none.yaml')
    assert.throws(() => loadConfig({ file, environment: {} }), {
      code: 'CONFIG_INVALID',
      message: /none\.yaml/,
    })
  })
})

describe('secrets', () => {
  test('API keys are names and keys with commas between them', () => {
    const { apiKeys } = load({ environment: { TAPELINE_API_KEYS: 'desk:a-long-key, admin:other=key:1' } })
    assert.deepEqual(apiKeys, [
      { name: 'desk', key: 'a-long-key' },
      { name: 'admin', key: 'other=key:1' },
    ])
  })

  test('commas too many make no key, but nothing except commas is refused', () => {
    const { apiKeys } = load({ environment: { TAPELINE_API_KEYS: ' desk:a-long-key,, \n' } })
    assert.deepEqual(apiKeys, [{ name: 'desk', key: 'a-long-key' }])
    assert.equal(refusal({ environment: { TAPELINE_API_KEYS: ',' } }).fields[0]?.field, 'TAPELINE_API_KEYS')
  })

  test("CryptoCompare's key comes from the environment", () => {
    assert.equal(load({ environment: { CRYPTOCOMPARE_API_KEY: 'k' } }).sourceKeys.cryptocompare, 'k')
    assert.equal(load({ environment: { CRYPTOCOMPARE_API_KEY: '' } }).sourceKeys.cryptocompare, undefined)
  })

  test('blanks and a line break round it are not a part of it', () => {
    assert.equal(load({ environment: { CRYPTOCOMPARE_API_KEY: ' k\r\n' } }).sourceKeys.cryptocompare, 'k')
    const environment = { TAPELINE_BROKER_PASSWORD: 'a pw \n', TAPELINE_STORE_PASSWORD: 'pw\r\n' }
    const config = load({ yaml: servers, environment })
    assert.deepEqual([config.brokerPassword, config.storePassword], ['a pw ', 'pw'])
  })

  const servers = 'broker: {kind: kafka}\nstore: {kind: timescale}'

  test('queries may have a login of their own, with a password of its own', () => {
    const yaml = 'store: {kind: timescale, queryUrl: "postgres://reader@standby/market"}'
    const environment = { TAPELINE_STORE_PASSWORD: 'owner', TAPELINE_STORE_QUERY_PASSWORD: 'reader' }
    assert.equal(load({ yaml, environment }).queryPassword, 'reader')
    const url = 'postgres://reader:in-it@standby/market'
    const inUrl = load({ yaml: servers, environment: { TAPELINE_STORE_QUERY_URL: url } })
    assert.deepEqual(
      [inUrl.store.queryUrl, inUrl.queryPassword, inUrl.storePassword],
      ['postgres://reader@standby/market', 'in-it', undefined],
    )
  })

  test('an address that cannot be read says which signs to encode', () => {
    for (const rest of [
      'u:pa#ss@db/x',
      'u:12/ss@db/x',
      'u:12?ss@db/x',
      'u:100%@db/x',
      'u%@db/x',
      'u@db/100%',
    ]) {
      const { fields } = refusal({ yaml: `store: {url: "postgres://${rest}"}` })
      assert.match(fields[0]?.remedy ?? '', /% as %25, # as %23, \/ as %2F/, rest)
    }
  })

  test('passwords of servers come from the environment', () => {
    const environment = { TAPELINE_BROKER_PASSWORD: 'broker-pw', TAPELINE_STORE_PASSWORD: 'store-pw' }
    const config = load({ yaml: servers, environment })
    assert.deepEqual([config.brokerPassword, config.storePassword], ['broker-pw', 'store-pw'])
  })

  test('or from files, whose last line break is not a part of them; the environment goes first', () => {
    const [broker, store] = [fileOf('broker pw\n'), fileOf('store-pw\r\n')]
    const yaml = `broker: {kind: kafka, passwordFile: ${broker}}\nstore: {kind: timescale, passwordFile: ${store}}`
    const config = load({ yaml })
    assert.deepEqual([config.brokerPassword, config.storePassword], ['broker pw', 'store-pw'])
    assert.equal(load({ yaml, environment: { TAPELINE_STORE_PASSWORD: 'x' } }).storePassword, 'x')
  })

  test('a file of a password that cannot be read is named with its setting', () => {
    for (const section of ['broker: {kind: kafka', 'store: {kind: timescale']) {
      const error = refusal({ yaml: `${section}, passwordFile: /nowhere/pw}` })
      assert.match(error.fields[0]?.field ?? '', /^(broker|store)\.passwordFile$/)
      assert.match(error.message, /\/nowhere\/pw/)
      assert.match(error.fields[0]?.remedy ?? '', /TAPELINE_(BROKER|STORE)_PASSWORD/)
    }
  })

  test('the embedded engines ask for none, whatever is set for servers', () => {
    const config = load({
      yaml: 'broker: {passwordFile: /nowhere}',
      environment: { TAPELINE_STORE_PASSWORD: 'x' },
    })
    assert.deepEqual([config.brokerPassword, config.storePassword], [undefined, undefined])
  })

  test('TAPELINE_STORE_URL may have a password, which then leaves the address', () => {
    const environment = { TAPELINE_STORE_URL: 'postgres://u:p%40ss@db.internal:5433/market' }
    const { store, storePassword } = load({ yaml: servers, environment })
    assert.equal(store.url, 'postgres://u@db.internal:5433/market')
    assert.equal(storePassword, 'p@ss')
    const over = load({ yaml: servers, environment, flags: { store: { url: 'postgres://u@other/market' } } })
    assert.equal(over.storePassword, undefined, 'it is of the other address')
  })

  test('the address may have several hosts, with blanks between them', () => {
    const environment = { TAPELINE_STORE_URL: 'postgres://u:p%40ss@one:5433, two ,[::1]:5434/market' }
    const { store, storePassword } = load({ yaml: servers, environment })
    assert.equal(store.url, 'postgres://u@one:5433,two,[::1]:5434/market')
    assert.equal(storePassword, 'p@ss')
    const { message } = refusal({ yaml: 'store: {url: "postgres://u@one,two:0/market"}' })
    assert.match(message, /port/)
  })

  test('a password in the file or in --database is refused, also where the environment has the same', () => {
    const url = 'postgres://u:same@db/x'
    const environment = { TAPELINE_STORE_URL: 'postgres://u:same@db/y' }
    for (const given of [{ yaml: `store: {url: "${url}"}` }, { flags: { store: { url } }, environment }]) {
      const { fields } = refusal(given)
      assert.equal(fields[0]?.field, 'store.url')
      assert.match(fields[0]?.remedy ?? '', /TAPELINE_STORE_PASSWORD or store\.passwordFile/)
    }
  })

  test('the address has no parameters; what a setting of ours decides is named', () => {
    const of = (parameter: string) => refusal({ yaml: `store: {url: "postgres://u@db/x?${parameter}"}` })
    const [field] = of('sslmode=require').fields
    assert.match(field?.message ?? '', /sslmode/)
    assert.match(field?.remedy ?? '', /store\.tls/)
    assert.match(of('target_session_attrs=primary').message, /target_session_attrs/)
  })

  const SECRET = 'tops3cret-value'
  const LEAKS: readonly Given[] = [
    { environment: { TAPELINE_API_KEYS: SECRET } },
    { environment: { TAPELINE_API_KEYS: `desk:${SECRET},short:key` } },
    { environment: { TAPELINE_API_KEYS: `Upper:${SECRET}` } },
    { yaml: `sourceKeys: ${SECRET}` },
    { yaml: `gateway: {apiKeys: [{name: desk, key: ${SECRET}}]}` },
    { yaml: 'log: {level: loud}', environment: { CRYPTOCOMPARE_API_KEY: SECRET } },
    { yaml: `store: {url: "postgres://u:${SECRET}@db/x"}` },
    { yaml: `store: {url: "postgress://u:${SECRET}@db/x"}` },
    { yaml: `store: {url: "postgres://db/x?password=${SECRET}"}` },
    { yaml: `store: {url: "postgres://u:${SECRET}@db:port/x"}` },
    { yaml: `store: {url: "postgres://u:${SECRET}%zz@db/x"}` },
    { yaml: `store: {password: ${SECRET}}` },
    { yaml: `broker: {password: ${SECRET}}` },
    { yaml: `broker: {bootstrap: ["u:${SECRET}@db:1"]}` },
    { environment: { TAPELINE_BROKER_BOOTSTRAP: `u:${SECRET}@db:1` } },
    { environment: { TAPELINE_STORE_URL: `postgress://u:${SECRET}@db/x` } },
    { flags: { store: { url: `postgres://u:${SECRET}@db/x` } } },
    { yaml: `store: {url: "postgres://u:${SECRET}@db/x"` },
    { yaml: 'log: {level: loud}', environment: { TAPELINE_STORE_PASSWORD: SECRET } },
    // A # / ? in a password makes a fragment, a path or parameters of the rest.
    ...['#', '/', '?', '?a=', '%', '%zz'].flatMap((sign) =>
      [`u:12${sign}${SECRET}@db/x`, `u:${SECRET}${sign}xy@db/x`].flatMap((rest): Given[] => [
        { yaml: `store: {kind: timescale, url: "postgres://${rest}"}` },
        { environment: { TAPELINE_STORE_URL: `postgres://${rest}` } },
        { environment: { TAPELINE_STORE_KIND: 'timescale', TAPELINE_STORE_QUERY_URL: `postgres://${rest}` } },
      ]),
    ),
    { yaml: `store: {url: "postgres://u@db/x", queryUrl: "postgres://u:${SECRET}@db/x"}` },
    { yaml: `store: {kind: timescale, passwordFile: ${SECRET}}` },
    { yaml: `broker: {kind: kafka, passwordFile: "${SECRET}/more"}` },
    { yaml: `broker: {username: {a: ${SECRET}}}` },
    { yaml: `source: {url: ["wss://x?api_key=${SECRET}"]}` },
    { yaml: `store: {password: *${SECRET}}` },
    { yaml: `store: {kind: timescale, url: "a" ${SECRET}}` },
    { yaml: `store: {kind: timescale, url: "a\\q${SECRET}"}` },
    { yaml: `log: {level: loud, level: ${SECRET}}` },
    { yaml: `${SECRET}` },
    { yaml: `- ${SECRET}` },
    { environment: { CRYPTOCOMPARE_API_KEY: `${SECRET} more` } },
    { environment: { TAPELINE_ALERTS_ALERTMANAGER: `u:${SECRET}@am:9093` } },
    { environment: { TAPELINE_TELEMETRY_OTLP: `u:${SECRET}@collector:4318` } },
    { environment: { OTEL_EXPORTER_OTLP_ENDPOINT: `ftp://u:12/${SECRET}@collector:4318` } },
    // An address where its section belongs.
    { yaml: `store: "postgres://u:12/${SECRET}@db/x"` },
    { yaml: `broker: "u:${SECRET}@broker:9092"` },
    { yaml: `source: "wss://x/?token=${SECRET}"` },
    { yaml: `sources: ["wss://x/?token=${SECRET}"]` },
    { yaml: `source: [{kind: okx, url: "wss://x/?token=${SECRET}"}]` },
    { yaml: `source: {kind: okx, fallback: [{kind: kraken, url: "wss://x/?token=${SECRET}"}]}` },
    { yaml: `broker: [{username: u, password: ${SECRET}}]` },
    { yaml: `sources: {kind: okx, url: "wss://x/?token=${SECRET}"}` },
  ]
  for (const given of LEAKS) {
    test(`no refusal repeats a secret: ${JSON.stringify(given)}`, () => {
      const error = refusal(given)
      const told = JSON.stringify([error.message, error.remedy, error.fields, error.stack])
      assert.ok(!told.includes(SECRET), told)
    })
  }
})

describe('what stands where settings by name belong', () => {
  const TABLE: readonly (readonly [string, string, RegExp, RegExp])[] = [
    [
      'source: [coinbase, kraken]',
      'source',
      /^is a list \(coinbase, kraken\) where the settings of one source belong$/,
      /write sources: \[coinbase, kraken\] in place of source\.$/,
    ],
    ['source: [{kind: okx}]', 'source', /^is a list \(okx\)/, /write sources: \[coinbase, kraken\]/],
    [
      'source: coinbase, kraken',
      'source',
      /^is several kinds \(coinbase, kraken\)/,
      /sources: \[coinbase, kr/,
    ],
    ['source: coinbase', 'source', /^is text where settings by name/, /^Write source: \{kind: coinbase\}/],
    ['source: coinbse', 'source', /did you mean coinbase\?$/, /^Write source: \{kind: coinbase\}/],
    ['source:', 'source', /^is empty where/, /^Write source: \{kind: coinbase\}/],
    [
      'source: {kind: okx, fallback: [kraken, okx]}',
      'source.fallback',
      /^is a list where one fallback belongs$/,
      /source\.fallback: kraken/,
    ],
    [
      'sources: [{kind: okx, fallback: 7}]',
      'sources.0.fallback',
      /^is a number where one/,
      /sources\.0\.fallback:/,
    ],
    [
      'broker: kafka',
      'broker',
      /^is text where settings by name belong$/,
      /broker\.kind, .*broker\.bootstrap/,
    ],
    ['log: debug', 'log', /^is text where/, /log\.level, log\.format/],
    ['streams: {standing: [a]}', 'streams.standing', /^is a list where/, /docs\/configuration\.md/],
    ['streams: {standing: {a: 5}}', 'streams.standing.a', /^is a number where/, /docs\/configuration\.md/],
  ]
  for (const [yaml, field, message, remedy] of TABLE)
    test(`${yaml} is told with what to write instead`, () => {
      const { fields } = refusal({ yaml })
      assert.deepEqual(
        fields.map((each) => each.field),
        [field],
      )
      assert.match(fields[0]?.message ?? '', message)
      assert.match(fields[0]?.remedy ?? '', remedy)
    })

  test('it is refused also where a flag or a variable gives a setting of that section', () => {
    const flags = { source: { kind: undefined }, broker: { bootstrap: ['a:1'] } }
    assert.equal(refusal({ yaml: 'source: [coinbase, kraken]', flags }).fields[0]?.field, 'source')
    assert.equal(refusal({ yaml: 'broker: kafka', flags }).fields[0]?.field, 'broker')
    const environment = { TAPELINE_LOG_LEVEL: 'warn' }
    assert.equal(refusal({ yaml: 'log: debug', environment }).fields[0]?.field, 'log')
  })

  test('a source in place of a list of them says how to write one', () => {
    const [field] = refusal({ yaml: 'sources: {kind: coinbase}' }).fields
    assert.equal(field?.field, 'sources')
    assert.match(field.message, /^is no list of sources$/)
    assert.match(field.remedy, /source: .* or each as an entry: sources: \[coinbase, kraken\]\. /)
  })
})

test('a misspelt setting is told with what it is near to', () => {
  const { fields } = refusal({ yaml: 'stor: {kind: embedded}\nbroker: {bootstap: [a]}\nzzz: 1' })
  assert.deepEqual(
    fields.map(({ field, message }) => [field, message]),
    [
      ['broker.bootstap', 'is not a setting; did you mean bootstrap?'],
      ['stor', 'is not a setting; did you mean store?'],
      ['zzz', 'is not a setting'],
    ],
  )
})
