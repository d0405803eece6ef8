import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import {
  byMarket,
  type LedgerTrade,
  marketOf,
  missedOutsideGaps,
  parseTail,
  readLedger,
  storedTrades,
  tradeKey,
  untilSettled,
} from './ledger.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

const KILLS = Number(process.env['TAPELINE_KILLS'] ?? 4)
const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)

test(`kill -9 at ${KILLS} moments: no duplicate, no loss outside flagged gaps, whole streams (seed ${SEED})`, async () => {
  const folder = await makeFolder()
  const ledger = join(folder.path, 'ledger')
  const simulator = await startSimulatorThread({ seed: SEED, rate: 400, ledger })
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const platform = new PlatformProcess(data, ['--simulator', simulator.url])
  after(async () => {
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })
  await platform.start()
  const specs = [
    { channel: 'trade', symbols: ['BTC-*'], ttl: 0 },
    { channel: 'trade', symbols: ['*'], exchanges: ['coinbase', 'kraken'], ttl: 0 },
  ]
  const streams = await Promise.all(
    specs.map((spec) => platform.post<{ id: string; topic: string }>('/v1/streams', spec)),
  )

  let random = SEED
  for (let kill = 0; kill < KILLS; kill++) {
    random = (random * 1_103_515_245 + 12_345) % 2_147_483_648
    const goal = (await simulator.stats()).emitted + 50 + (random % 700)
    await until('the simulator has emitted more', async () => (await simulator.stats()).emitted >= goal)
    await platform.kill()
    const away = (await simulator.stats()).emitted + (random % 500)
    await until('trades were missed meanwhile', async () => (await simulator.stats()).emitted >= away)
    await platform.start()
  }
  await until('trades flow after the last start', async () => (await simulator.stats()).emitted > 0)
  const goal = (await simulator.stats()).emitted + 400
  await until('the simulator has emitted more', async () => (await simulator.stats()).emitted >= goal)
  const emitted = await untilSettled(platform, ledger, goal)
  const stored = await storedTrades(platform)
  const keys = stored.map((trade) => `${marketOf(trade)}:${trade.id}`)
  assert.equal(keys.length - new Set(keys).size, 0, 'a trade is stored twice')

  await until('the ledger has all that is stored, and nothing else is', async () => {
    const real = new Set((await readLedger(ledger)).map(tradeKey))
    return stored.every((trade) => real.has(tradeKey(trade)))
  })
  assert.deepEqual(await missedOutsideGaps(platform, emitted), [], 'trades are missing outside gaps')
  const flagged = await platform.sql(`select 1 from status where state = 'gap'`)
  assert.ok(flagged.length > 0, 'being away was flagged')

  assert.equal(await platform.stop(), 0, platform.output)
  await platform.start()
  for (const [i, { topic }] of streams.entries()) {
    const { stdout, stderr, code } = await runCommand([
      'tail',
      topic,
      '--from',
      'earliest',
      '--json',
      '--exit',
      '--data',
      data,
    ])
    assert.equal(code, 0, stderr)
    const streamed = parseTail(stdout)
    let rows: LedgerTrade[] = []
    await until('what the stream has is stored', async () => {
      rows = await storedTrades(platform)
      const have = new Set(rows.map(tradeKey))
      return streamed.every((trade) => have.has(tradeKey(trade)))
    })
    checkStream(streamed, rows, specs[i] as { symbols: string[]; exchanges?: string[] })
  }
  assert.equal(await platform.stop(), 0, platform.output)
})

/** A dynamic topic holds, market by market and in order, the rows that match, from its first one on. */
function checkStream(
  streamed: readonly LedgerTrade[],
  stored: readonly LedgerTrade[],
  spec: { symbols: string[]; exchanges?: string[] },
): void {
  const wanted = byMarket(
    stored.filter(
      ({ exchange, symbol }) =>
        (spec.symbols.includes('*') || symbol.startsWith('BTC-')) &&
        (spec.exchanges?.includes(exchange) ?? true),
    ),
  )
  assert.ok(streamed.length > 0, 'the stream is not empty')
  for (const [market, trades] of byMarket(streamed)) {
    const rows = wanted.get(market) ?? []
    const first = rows.findIndex(({ id }) => id === trades[0]?.id)
    assert.ok(first >= 0, `${market}: its first trade is stored`)
    const last = rows.findIndex(({ id }) => id === trades.at(-1)?.id)
    assert.deepEqual(
      trades.map(({ id }) => id),
      rows.slice(first, last + 1).map(({ id }) => id),
      `${market}: the stream has what is stored, in order`,
    )
  }
}
