import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isoMicros } from '../src/domain/time.ts'
import type { RowQuery } from '../src/ports/store.ts'
import { startPlatform } from './gateway/platform.ts'
import { blocksOf } from './recipes.ts'

const run = promisify(execFile)
const PANDAS = 'pandas'
const NOTEBOOK = 'A Jupyter notebook'
const IMPORTS = 'import pandas, pyarrow, matplotlib'

/**
 * A Python that has what the page installs: the machine's own, or one in a folder that is kept between runs. Undefined where neither
 * can be had: no python3, or no package index in reach.
 */
async function findPython(t: TestContext): Promise<string | undefined> {
  const has = (python: string) =>
    run(python, ['-c', IMPORTS]).then(
      () => true,
      () => false,
    )
  if (await has('python3')) return 'python3'
  const install = blocksOf(PANDAS)[0]?.code.trim() ?? ''
  const folder = join(tmpdir(), `tapeline-python-${userInfo().username}`)
  const python = join(folder, '.venv', 'bin', 'python')
  if (existsSync(python) && (await has(python))) return python
  const aside = mkdtempSync(`${folder}-`)
  try {
    await run('sh', ['-c', install], { cwd: aside, timeout: 150_000 })
    rmSync(folder, { recursive: true, force: true })
    await rename(aside, folder)
    return python
  } catch (error) {
    t.diagnostic(`no Python with pandas: ${(error as Error).message.split('\n').slice(0, 2).join(' ')}`)
    rmSync(aside, { recursive: true, force: true })
    return undefined
  }
}

const SECOND = 1_000_000
const COUNT = 300
/** More than two pages. */
const QUOTES = 25_000

/** Trades, quotes and candles of the last hours, on two exchanges. */
async function startMarket(t: TestContext) {
  const platform = await startPlatform(t)
  const first = (Math.floor(Date.now() / 1000) - 2 * QUOTES) * SECOND
  const place = (i: number) => ({
    exchange: i % 2 === 0 ? 'kraken' : 'coinbase',
    symbol: 'BTC-USD',
    ts: isoMicros(first + i * SECOND + 1),
    recvTs: isoMicros(first + i * SECOND + 2),
  })
  const times = (count: number) => Array.from({ length: count }, (_, i) => i)
  // Beyond 2^53: an id that is read as a number is another.
  const trades = times(COUNT).map((i) => ({
    ...place(i),
    ...{ id: String(90_071_992_547_409_931n + BigInt(i)), side: 'buy', price: 0.1 + i / 7, size: 0.1 },
  }))
  const absent = { askSize: null, last: null, volume24h: null }
  const quotes = times(QUOTES).map((i) => ({ ...place(i), bid: i, bidSize: 1, ask: i + 1, ...absent }))
  const prices = { open: 1, high: 2, low: 1, close: 2, volume: 5, trades: 3 }
  const candles = times(COUNT).map((i) => ({ ...place(i), ...prices, interval: '15m', origin: 'trades' }))
  const page = <R extends { readonly ts: string }>(rows: readonly R[], { after, limit }: RowQuery): R[] => {
    const from = after === undefined ? 0 : rows.findIndex(({ ts }) => ts > String(after.key[0]))
    return rows.slice(from, from + limit)
  }
  Object.assign(platform.store, {
    trades: async (query: RowQuery) => page(trades, query),
    quotes: async (query: RowQuery) => page(quotes, query),
    candles: async (query: RowQuery) => page(candles, query),
  })
  return platform
}

/** A folder to work in, with the platform's run file and `tapeline` on the path. */
async function openWorkplace(t: TestContext, python: string) {
  const { url } = await startMarket(t)
  const folder = mkdtempSync(join(tmpdir(), 'tapeline-recipe-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, '.tapeline'))
  writeFileSync(join(folder, '.tapeline', 'run.json'), JSON.stringify({ pid: process.pid, api: url }))
  const bin = fileURLToPath(new URL('../bin/tapeline.mjs', import.meta.url))
  const commands = join(folder, 'bin')
  mkdirSync(commands)
  writeFileSync(join(commands, 'tapeline'), `#!/bin/sh\nexec ${process.execPath} ${bin} "$@"\n`, {
    mode: 0o755,
  })
  const environment = {
    ...process.env,
    ...{ PATH: `${commands}${delimiter}${process.env['PATH']}`, TAPELINE_API: url, MPLBACKEND: 'Agg' },
  }
  const options = { cwd: folder, env: environment, timeout: 120_000 }
  return {
    shell: (code: string) => run('sh', ['-ec', code], options),
    /** Blocks in one process after another, and what stands after them to look at what they made. */
    python: (blocks: readonly string[], check: string) =>
      run(python, ['-c', [...blocks, check].join('\n')], options),
  }
}

describe('the recipes', () => {
  test('pandas and the notebook: every block runs as it stands on the page', async (t) => {
    const python = await findPython(t)
    if (python === undefined)
      return t.skip('no Python with pandas, pyarrow and matplotlib: their blocks did not run')
    const workplace = await openWorkplace(t, python)
    const blocks = blocksOf(PANDAS).slice(1)
    for (const { code } of blocks.filter(({ language }) => language === 'sh')) await workplace.shell(code)
    const cells = blocksOf(NOTEBOOK).slice(1)
    assert.deepEqual([blocks.length, cells.length], [5, 3], 'the page has the blocks that this test knows')
    const code = [...blocks, ...cells]
      .filter(({ language }) => language === 'python')
      .map((block) => block.code)
    const { stdout } = await workplace.python(
      code,
      `
first = pd.read_parquet('btc.parquet')
assert len(first) == len(trades) == len(candles) == ${COUNT}, (len(first), len(trades), len(candles))
assert list(quotes['bid']) == list(range(${QUOTES})), len(quotes)
assert list(first['id']) == list(trades['id']) and first['id'][0] == '90071992547409931'
assert list(first['price']) == list(trades['price']) == [0.1 + i / 7 for i in range(${COUNT})]
assert (first['ts'] == trades['ts']).all() and str(first['ts'].dtype) == 'datetime64[us, UTC]', first['ts'].dtype
assert first['ts'][0].microsecond == 1
assert quotes['askSize'].isna().all() and list(close.columns) == ['coinbase', 'kraken']
assert len(close) == ${COUNT}
print('all is there')`,
    )
    assert.match(stdout, /open +high +low +close/)
    assert.match(stdout, /all is there/)
  })
})
