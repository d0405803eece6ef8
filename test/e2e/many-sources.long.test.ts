import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SOURCE_NAMES } from '../../src/adapters/source/index.ts'
import { parseIsoMicros } from '../../src/domain/time.ts'
import { isSimulatedExchange } from '../../src/simulator/exchanges/index.ts'
import { marketsOfExchanges } from '../../src/simulator/markets.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { freePort } from '../servers/free-port.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { type LedgerTrade, readLedger, storedTrades, tradeKey } from './ledger.ts'
import { makeFolder, PlatformProcess, until } from './platform-process.ts'

/** What befalls some of the sources, and the codes that tell it. */
const FAULTS: Readonly<Record<string, { readonly mode: string; readonly codes: readonly string[] }>> = {
  kraken: { mode: 'killed', codes: ['SOURCE_UNAVAILABLE'] },
  okx: { mode: 'stall', codes: ['SOURCE_UNAVAILABLE', 'SOURCE_STALE'] },
  bybit: { mode: '401', codes: ['SOURCE_UNAUTHORIZED', 'SOURCE_UNAVAILABLE'] },
  gemini: { mode: 'babble', codes: ['SOURCE_UNAVAILABLE', 'SOURCE_STALE', 'SOURCE_PROTOCOL'] },
}

/** One service on this machine, and what it has emitted. */
interface Service {
  readonly name: string
  readonly ledger: string
  simulator: Simulator
}

const CRYPTOCOMPARES = 'cryptocompare'
/** CryptoCompare is asked for a market that no exchange here is asked for. */
const ITS_MARKET = 'coinbase:LTC-USD'

const marketsOf = (name: string): string[] =>
  name === CRYPTOCOMPARES
    ? [ITS_MARKET]
    : marketsOfExchanges([name])
        .map(({ exchange, symbol }) => `${exchange}:${symbol}`)
        .filter((market) => market !== ITS_MARKET)
        .slice(0, 3)

const startService = (name: string, ledger: string, port: number): Promise<Simulator> =>
  startSimulator({
    ...{ ledger, port, rate: 20, heartbeatSeconds: 1, markets: marketsOf(name) },
    ...(name !== CRYPTOCOMPARES && { exchanges: [name] }),
  })

test('many sources at once: of those that fail each is told, and ends it by itself; the others lose no trade', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const names = SOURCE_NAMES.filter((name) => name === CRYPTOCOMPARES || isSimulatedExchange(name))
  assert.ok(names.length >= 9)
  const services: Service[] = []
  for (const name of names) {
    const ledger = join(folder.path, `${name}.jsonl`)
    const simulator = await startService(name, ledger, await freePort())
    services.push({ name, ledger, simulator })
  }
  t.after(() => Promise.all(services.map(({ simulator }) => simulator.close())))
  const sources = services.map(({ name, simulator: { url, websocketUrl } }) => ({
    ...{ kind: name, markets: marketsOf(name) },
    ...(name === CRYPTOCOMPARES
      ? { url: websocketUrl, restUrl: url }
      : {
          ...{ url: `${url.replace('http', 'ws')}/${name}`, restUrl: `${url}/${name}` },
          channels: ['trade', 'quote', 'book'],
        }),
    ...{ reconnect: '200ms', reconnectMax: '1s', fallbackAfter: '1s' },
    // The others may take their time on a busy machine.
    ...(name in FAULTS && { timeout: '1s', staleAfter: '3s' }),
  }))
  const config = join(folder.path, 'tapeline.yaml')
  await writeFile(config, JSON.stringify({ sources, alerts: { after: '1s' } }))
  const platform = new PlatformProcess(data, ['--config', config])
  t.after(() => platform.kill())
  await platform.start()

  const alerts = async () => {
    const body = await platform.get<{ alerts: { id: string; code: string }[] }>('/v1/alerts')
    return new Map(body.alerts.filter(({ id }) => id.startsWith('source-')).map(({ id, code }) => [id, code]))
  }
  /** When the last trade of each market of a source was made. */
  const newest = async (): Promise<ReadonlyMap<string, number>> => {
    const rows = await platform.sql<{ exchange: string; symbol: string; ts: string }>(
      'select exchange, symbol, max(ts) as ts from trades group by 1, 2',
    )
    return new Map(rows.map(({ exchange, symbol, ts }) => [`${exchange}:${symbol}`, parseIsoMicros(ts) ?? 0]))
  }
  const traded = (what: string, of: readonly string[], after: number) =>
    until(what, async () => {
      const known = await newest()
      return of.every((name) => marketsOf(name).some((market) => (known.get(market) ?? 0) > after))
    })

  await traded('all sources deliver', names, 0)
  await until('nothing is told', async () => (await alerts()).size === 0)
  const failing = services.filter(({ name }) => name in FAULTS)
  for (const { name, simulator } of failing) {
    const mode = FAULTS[name]?.mode ?? ''
    if (mode === 'killed') await simulator.close()
    else await simulator.misbehave([mode])
  }
  let told = await alerts()
  await until('each that fails is told', async () => {
    told = await alerts()
    return failing.every(({ name }) => told.has(`source-${name}`))
  })
  assert.deepEqual([...told.keys()].sort(), failing.map(({ name }) => `source-${name}`).sort())
  for (const { name } of failing) {
    const code = told.get(`source-${name}`) ?? ''
    assert.ok(FAULTS[name]?.codes.includes(code), `${name}: ${code}`)
  }
  const others: readonly string[] = names.filter((name) => !(name in FAULTS))
  await traded('the others go on', others, Date.now() * 1_000)

  const healed = Date.now() * 1_000
  for (const service of failing) {
    if (FAULTS[service.name]?.mode !== 'killed') await service.simulator.misbehave([])
    else service.simulator = await startService(service.name, service.ledger, service.simulator.port)
  }
  await until('nothing is told any more', async () => (await alerts()).size === 0)
  await traded('those that failed deliver again', Object.keys(FAULTS), healed)

  // Up to here everything of the others must be there.
  const end = Date.now() * 1_000
  await traded('what came later is stored', others, end + 2_000_000)
  const mine = others.flatMap(marketsOf)
  const of = (trades: readonly LedgerTrade[]) =>
    trades
      .filter(({ exchange, symbol, ts }) => mine.includes(`${exchange}:${symbol}`) && ts <= end)
      .map(tradeKey)
      .sort()
  const emitted = await Promise.all(
    services.filter(({ name }) => !(name in FAULTS)).map(({ ledger }) => readLedger(ledger)),
  )
  const ledger = of(emitted.flat())
  assert.ok(ledger.length > 100)
  let stored: string[] = []
  // Each partition has a way of its own.
  await until('as much is stored', async () => {
    stored = of(await storedTrades(platform))
    return stored.length >= ledger.length
  }).catch(() => undefined)
  assert.deepEqual(stored, ledger)
  const gaps = await platform.sql<{ exchange: string; symbol: string }>(
    `select distinct exchange, symbol from status where state = 'gap'`,
  )
  const wrong = gaps.filter(({ exchange, symbol }) => mine.includes(`${exchange}:${symbol}`))
  assert.deepEqual(wrong, [], 'a gap of a source that was there')
  assert.ok(gaps.length > 0)
})
