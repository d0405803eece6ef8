import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { lockDataFolder } from '../../src/adapters/broker/embedded/lock.ts'
import type { SourceKind } from '../../src/adapters/source/feed/source-kind.ts'
import { SOURCES, type SourceName } from '../../src/adapters/source/index.ts'
import { checkSource } from '../../src/cli/doctor/source.ts'
import { loadConfig } from '../../src/config.ts'
import { LISTS } from '../adapters/source/listings.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { runCommand } from '../e2e/platform-process.ts'

const KEY = 'k3y-that-must-not-be-seen'

async function findings(service: Service): Promise<string> {
  const config = loadConfig({
    file: undefined,
    environment: { CRYPTOCOMPARE_API_KEY: KEY },
    flags: { source: { url: service.url, restUrl: service.restUrl } },
  })
  const found = await checkSource(config, AbortSignal.timeout(15_000))
  return found.map(({ check, status, detail }) => `${status} ${check}: ${detail}`).join('\n')
}

describe('doctor shows what a source says', () => {
  test('where it refuses the key', async (t) => {
    const service = await Service.start(t, {
      connected: (socket) =>
        sendFrame(socket, { TYPE: '401', MESSAGE: 'UNAUTHORIZED', INFO: `the key ${KEY} has expired` }),
    })
    assert.match(
      await findings(service),
      /^fail source: .* refuses the key: UNAUTHORIZED: the key \*\*\* has expired$/m,
    )
  })

  test('where it refuses the connection, and where it closes it', async (t) => {
    const service = await Service.start(t, { refuse: 403, refusal: '{"message":"this address has moved"}' })
    assert.match(await findings(service), /^fail source: .*refused with HTTP 403: this address has moved$/m)
    const closing = await Service.start(t, { connected: (socket) => socket.close(1008, 'no such plan') })
    assert.match(await findings(closing), /^fail source: .*closed by the other side \(1008\) no such plan$/m)
  })
})

test('doctor says which markets the exchange does not trade, with what is near, and how many connections they need', async (t) => {
  const row = (base: string, quote: string, state = 'live') => ({
    ...{ instId: `${base}-${quote}`, baseCcy: base, quoteCcy: quote, state },
  })
  const body = { code: '0', data: [row('BTC', 'USDT'), row('ETH', 'USDT'), row('OLD', 'USDT', 'suspend')] }
  const service = await Service.start(t, { rest: () => ({ body }) })
  const check = async (markets: string[]) => {
    const { url, restUrl } = service
    const config = loadConfig({
      environment: {},
      flags: { source: { kind: 'okx', url, restUrl, markets } },
    })
    const found = await checkSource(config, AbortSignal.timeout(15_000))
    return found.find((each) => each.check === 'source markets')
  }
  assert.deepEqual(await check(['okx:*-USDT']), {
    ...{ check: 'source markets', status: 'ok' },
    detail: 'OKX lists 2 of them (4 subscriptions over one connection, of which one takes 1000)',
  })
  const odd = await check(['okx:BTC-USDT', 'okx:BTC-USTD', 'okx:OLD-USDT'])
  assert.equal(odd?.status, 'warn')
  assert.match(odd?.detail ?? '', /lists 1 of them .*it does not trade BTC-USTD.*BTC-USDT.*, OLD-USDT/)
})

const { ccxt: _, ...OWN } = SOURCES

for (const [name, kind] of Object.entries(OWN) as [Exclude<SourceName, 'ccxt'>, SourceKind][])
  test(`doctor says of ${name} whether it is reached, which markets it has, and what a connection takes`, async (t) => {
    const list = LISTS[name]
    const service = await Service.start(t, {
      rest: () => ({ body: list?.body }),
      // CryptoCompare's welcome.
      connected: (socket) => sendFrame(socket, { TYPE: '20', MESSAGE: 'STREAMERWELCOME' }),
    })
    const [exchange = 'coinbase'] = kind.exchanges ?? []
    const [known] = (list?.expected ?? [['BTC-USD']]) as string[][]
    const symbols = [known?.[0], 'NONE-USD', ...Array.from({ length: 29 }, (_, i) => `X${i}-USD`)]
    const { url, restUrl } = service
    const config = loadConfig({
      environment: { CRYPTOCOMPARE_API_KEY: KEY },
      flags: {
        source: { kind: name, url, restUrl, markets: symbols.map((symbol) => `${exchange}:${symbol}`) },
      },
    })
    const found = await checkSource(config, AbortSignal.timeout(15_000))
    const of = (check: string) => found.find((each) => each.check === check)
    assert.equal(of('source')?.status, 'ok', of('source')?.detail)
    if (kind.rest !== undefined) assert.equal(of('source REST')?.status, 'ok')
    const markets = of('source markets')
    const limit = kind.mostSubscriptions
    assert.match(
      markets?.detail ?? '',
      limit === undefined ? /over one connection\)/ : new RegExp(`of which one takes ${limit}\\)`),
    )
    if (list === undefined) {
      assert.equal(markets?.status, 'ok')
      // 12 markets of two channels fit in 25 subscriptions, 8 in 16.
      const connections = limit === 16 ? '4 connections' : 'one connection'
      assert.match(
        markets?.detail ?? '',
        new RegExp(`is asked for 31 \\(62 subscriptions over ${connections}`),
      )
      return
    }
    assert.equal(markets?.status, 'warn')
    assert.match(
      markets?.detail ?? '',
      /lists 1 of them \(2 subscriptions over one connection.*does not trade NONE-USD/,
    )
  })

test('doctor asks no list of an exchange for which another server stands in', async (t) => {
  const service = await Service.start(t)
  const config = loadConfig({
    environment: {},
    flags: { source: { kind: 'kraken', url: service.url, markets: ['kraken:BTC-USD'] } },
  })
  const found = await checkSource(config, AbortSignal.timeout(15_000))
  assert.match(
    found.find(({ check }) => check === 'source markets')?.detail ?? '',
    /^Kraken is asked for 1 .*; source.restUrl does not say where its list is/,
  )
})

test('doctor counts connections as the source opens them: whole markets each', async (t) => {
  const names = Array.from({ length: 25 }, (_, i) => `A${String.fromCharCode(65 + i)}AUSD`)
  const service = await Service.start(t, { rest: () => ({ body: [names] }) })
  const { url, restUrl } = service
  const config = loadConfig({
    environment: {},
    flags: { source: { kind: 'bitfinex', url, restUrl, markets: ['bitfinex:*'] } },
  })
  const found = await checkSource(config, AbortSignal.timeout(15_000))
  assert.match(
    found.find(({ check }) => check === 'source markets')?.detail ?? '',
    /lists 25 of them \(50 subscriptions over 3 connections, of which one takes 25\)/,
  )
})

test('doctor does not ask for a key beside a platform that starts or stops, such as a demo', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-doctor-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const lock = lockDataFolder(folder)
  t.after(() => lock.release())
  const { stdout } = await runCommand(['doctor', '--data', folder, '--port', '0', '--json'])
  const { findings: found } = JSON.parse(stdout) as { findings: { check: string; detail: string }[] }
  assert.match(found.find(({ check }) => check === 'lock')?.detail ?? '', /does not say that it runs/)
  assert.deepEqual(
    found.filter(({ check }) => check.startsWith('source')),
    [],
  )
  assert.doesNotMatch(stdout, /cryptocompare/i)
})
