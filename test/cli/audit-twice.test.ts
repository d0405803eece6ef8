import assert from 'node:assert/strict'
import { test } from 'node:test'
import { command } from '../../src/cli/audit.ts'
import { openTemporaryStore } from '../adapters/store/temporary.ts'
import { segment, trade, store as write } from '../contract/store-fixtures.ts'
import { startPlatform } from '../gateway/platform.ts'
import { recordingTerminal } from './recording-terminal.ts'

const DAY = Date.UTC(2026, 2, 2) * 1_000

test('an audit tells trades that are there twice, and no other that has the same id', async (t) => {
  const store = await openTemporaryStore(t)
  const own = (id: string, changes = {}) =>
    trade({ exchange: 'kraken', id, ts: DAY + Number(id), recvTs: DAY + Number(id), ...changes })
  const once = [own('1'), own('2'), own('2', { price: 101 })]
  const other = { exchange: 'okx' }
  await write(store, segment('trade', [...once, own('3', other), own('4', other), own('4', other)]))
  const { url } = await startPlatform(t, { store })
  const audit = async (market: string) => {
    const terminal = recordingTerminal()
    const flags = { api: url, market, from: '2026-03-02', to: '2026-03-02', json: true }
    const code = await command.run(flags, [], terminal)
    const { days, ok } = JSON.parse(terminal.printed.join('')) as {
      days: { trades: number; twice: number }[]
      ok: boolean
    }
    return { code, ok, found: days.map(({ trades, twice }) => [trades, twice]) }
  }
  assert.deepEqual(await audit('okx:BTC-USD'), { code: 1, ok: false, found: [[3, 1]] })
  assert.deepEqual(await audit('kraken:BTC-USD'), { code: 0, ok: true, found: [[3, 0]] })
})
