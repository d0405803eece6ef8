import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AuditedDay } from '../../src/cli/audit/days.ts'
import { isoMicros } from '../../src/domain/time.ts'
import { makeFolder, runCommand } from '../e2e/platform-process.ts'
import { copyStoreTemplate } from '../store-template.ts'

/** 2026-11-20 at midnight, in seconds. */
const MIDNIGHT = 1_795_132_800

/** Trades of Coinbase, one a second from a quarter of a minute before midnight on, by their ids. */
const frames = (ids: readonly number[]): string =>
  ids
    .map((id) => {
      const at = MIDNIGHT - 15 + id
      const trade = {
        type: 'match',
        trade_id: id,
        side: 'sell',
        size: '1',
        price: '10',
        product_id: 'AAA-USD',
      }
      return `${at}.5: ${JSON.stringify({ ...trade, time: isoMicros(at * 1e6) })}\n`
    })
    .join('')

test('an audit of a data folder finds gaps and ids that skip, day by day', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const [data, file] = [join(folder.path, 'data'), join(folder.path, 'trades')]
  await copyStoreTemplate(join(data, 'store'))
  const audit = async (...args: readonly string[]) => {
    const range = ['--from', '2026-11-18', '--to', '2026-11-21']
    const { code, stdout, stderr } = await runCommand(['audit', '--data', data, '--json', ...range, ...args])
    assert.equal(stderr, '')
    const { days, ok } = JSON.parse(stdout) as { days: AuditedDay[]; ok: boolean }
    assert.equal(code, ok ? 0 : 1)
    return days.map(({ market, day, trades, gaps, twice, skipped, candles }) => ({
      ...{
        market,
        day: day.slice(0, 10),
        trades,
        gaps: gaps.map(({ cause }) => cause),
        twice,
        skipped,
        candles,
      },
    }))
  }
  const whole = Array.from({ length: 30 }, (_, i) => 1 + i)
  const before = whole.filter((id) => id !== 20 && id !== 21)
  await writeFile(file, frames(before))
  const replay = ['replay', file, '--data', data, '--exit']
  const { code, stderr } = await runCommand(replay)
  assert.equal(code, 0, stderr)
  const [market, none] = ['coinbase:AAA-USD', { gaps: [], twice: 0, skipped: 0 }]
  assert.deepEqual(await audit(), [
    { ...none, market, day: '2026-11-19', trades: 14, candles: 14 },
    { ...none, market, day: '2026-11-20', trades: 14, candles: 14, gaps: ['source'], skipped: 2 },
  ])
  assert.deepEqual(await audit('--market', 'kraken:BTC-USD'), [])
  const shown = await runCommand(['audit', '--data', data, '--from', '2026-11-20', '--to', '2026-11-20'])
  assert.equal(shown.code, 1)
  assert.match(shown.stdout, /coinbase:AAA-USD +2026-11-20 +14 +1 +3 s +0 +2 +\d+ +ok/)
  assert.match(
    shown.stderr,
    /gap of coinbase:AAA-USD: 2026-11-20T00:00:04\.000000Z to 2026-11-20T00:00:07\.000000Z \(source\)/,
  )
  const wrong = await runCommand(['audit', '--data', data, '--market', 'nothing'])
  assert.deepEqual([wrong.code, wrong.stderr.includes('USAGE')], [2, true])
})
