import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parseIsoMicros } from '../../src/domain/time.ts'
import { capture } from '../adapters/source/captures.ts'
import { type LedgerTrade, tradeKey } from '../e2e/ledger.ts'
import { makeFolder, runCommand } from '../e2e/platform-process.ts'
import { copyStoreTemplate } from '../store-template.ts'

/** Trades within a second, fewer than a market's window holds. */
const ids = Array.from({ length: 200 }, (_, i) => 100 + i)

const { path, skip } = capture('COINBASE.ws.28.0')

let folder: Awaited<ReturnType<typeof makeFolder>>

before(async () => {
  folder = await makeFolder()
})
after(() => folder.remove())

/** A match of the capture, as Coinbase's documentation describes it: `side` is the maker's. */
interface Match {
  readonly type: string
  readonly trade_id: number
  readonly product_id: string
  readonly side: 'buy' | 'sell'
  readonly price: string
  readonly size: string
  readonly time: string
}

/** The trades of the capture, read here without any code of the platform but the clock's. */
async function recordedTrades(): Promise<LedgerTrade[]> {
  const lines = (await readFile(path, 'utf8')).split('\n')
  const frames = lines.flatMap((line) => {
    const [, frame] = /^[\d.]+: (.*)$/.exec(line) ?? []
    return frame === undefined ? [] : [JSON.parse(frame) as Match]
  })
  return frames
    .filter(({ type }) => type === 'match' || type === 'last_match')
    .map(({ trade_id, product_id, side, price, size, time }) => ({
      exchange: 'coinbase',
      symbol: product_id,
      id: String(trade_id),
      side: side === 'buy' ? 'sell' : 'buy',
      price: Number(price),
      size: Number(size),
      ts: parseIsoMicros(time) ?? -1,
    }))
}

describe('replay of recorded frames', { skip }, () => {
  test('leaves exactly the recorded trades in the database, also when it is done again', async () => {
    const data = join(folder.path, 'data')
    await copyStoreTemplate(join(data, 'store'))
    const recorded = new Set((await recordedTrades()).map(tradeKey))
    assert.equal(recorded.size, 107)

    const replay = ['replay', path, '--data', data, '--exit']
    const first = await runCommand(replay)
    assert.equal(first.code, 0, first.stderr)
    assert.match(
      first.stdout,
      /^replayed +107 trades, 107 quotes, \d+ book records, 10 markets\ndatabase +107 trades, /,
    )
    const again = await runCommand([...replay, '--json'])
    assert.equal(again.code, 0, again.stderr)
    const { trades, markets, malformed, stored } = JSON.parse(again.stdout)
    assert.deepEqual(
      { trades, markets, malformed, stored: stored.trades },
      {
        trades: 107,
        markets: 10,
        malformed: 0,
        stored: 107,
      },
    )

    const sql = 'select exchange, symbol, id, side, price, size, ts from trades'
    const { stdout } = await runCommand(['sql', sql, '--json', '--data', data])
    const rows = JSON.parse(stdout) as (Omit<LedgerTrade, 'ts'> & { ts: string })[]
    const keys = rows.map((row) => tradeKey({ ...row, ts: parseIsoMicros(row.ts) ?? -1 }))
    assert.deepEqual(keys.toSorted(), [...recorded].toSorted())
  })
})

describe('a replay into a new folder', () => {
  let data: string
  /** An id of which nobody sees a part. */
  const unseen = '\u202ecba\u200b'

  before(async () => {
    data = join(folder.path, 'new')
    const [file, config] = [join(folder.path, 'trades'), join(folder.path, 'standing.yaml')]
    await copyStoreTemplate(join(data, 'store'))
    const trade = (id: number | string, n: number) => ({
      ...{ type: 'match', trade_id: id, side: 'sell', size: '1', price: '10', product_id: 'AAA-USD' },
      time: `2026-11-20T10:00:01.${n}Z`,
    })
    const frames = [...ids, unseen].map(
      (id, i) => `1795168802.${100 + i}: ${JSON.stringify(trade(id, 100 + i))}\n`,
    )
    await writeFile(file, frames.join(''))
    await writeFile(config, 'streams: {standing: {all: {channel: trade, symbols: ["*"]}}}\n')
    const { code, stderr } = await runCommand(['replay', file, '--data', data, '--config', config, '--exit'])
    assert.equal(code, 0, stderr)
  })

  test('a standing stream beside it misses nothing', async () => {
    const { stdout } = await runCommand(['streams', 'topics', '--data', data, '--json'])
    const { topics } = JSON.parse(stdout) as { topics: { name: string }[] }
    const tail = await runCommand([
      ...['tail', topics[0]?.name ?? '', '--data', data],
      ...['--from', 'earliest', '--exit', '--json'],
    ])
    const streamed = tail.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { id: string }).id)
    assert.deepEqual(streamed, [...ids.map(String), unseen])
  })

  test('what nobody sees is stored as it came, and escaped in a terminal', async () => {
    const query = ['sql', '--data', data, 'select id from trades order by ts desc limit 1']
    const [table, json] = [await runCommand(query), await runCommand([...query, '--json'])]
    assert.ok(table.stdout.includes('\\u202ecba\\u200b'), table.stdout)
    assert.ok(json.stdout.includes('\\u202ecba\\u200b'), json.stdout)
    assert.deepEqual(JSON.parse(json.stdout), [{ id: unseen }])
  })
})

describe('what cannot be replayed', () => {
  test('a file that is not there, is empty, or is no capture', async () => {
    const [empty, prose] = [join(folder.path, 'empty'), join(folder.path, 'prose')]
    await writeFile(empty, '')
    await writeFile(prose, 'once upon a time\n')
    for (const file of [join(folder.path, 'none'), empty, prose]) {
      const { code, stderr } = await runCommand(['replay', file, '--data', join(folder.path, 'unused')])
      assert.equal(code, 1)
      assert.match(stderr, new RegExp(`"code":"CAPTURE_INVALID".*${file}`))
    }
    assert.equal(existsSync(join(folder.path, 'unused')), false, 'no folder is made')
  })

  test('a file without anything that is understood', async () => {
    const file = join(folder.path, 'foreign')
    const data = join(folder.path, 'other')
    await copyStoreTemplate(join(data, 'store'))
    await writeFile(file, '1618677816.5: {"stream":"btcusdt@trade"}\n1618677817: nonsense\n')
    const foreign = await runCommand(['replay', file, '--data', data, '--exit', '--log-level', 'silent'])
    assert.equal(foreign.code, 1, foreign.stderr)
    assert.match(foreign.stdout, /^left out +2 frames/m)
  })

  test('a file in which every frame is understood and nothing is for us', async () => {
    const file = join(folder.path, 'orders-only')
    const data = join(folder.path, 'orders')
    await copyStoreTemplate(join(data, 'store'))
    const order = (type: string) => `{"type":"${type}","product_id":"AAA-USD","side":"buy","price":"1"}`
    const frames = ['open', 'done', 'open'].map((type, i) => `161867781${i}.5: ${order(type)}\n`)
    await writeFile(file, frames.join(''))
    const { code, stderr } = await runCommand(['replay', file, '--data', data, '--exit'])
    assert.equal(code, 1, stderr)
    assert.match(stderr, /Nothing in .*orders-only .*: it holds 3 received frames: 2 open, 1 done\./)
  })
})
