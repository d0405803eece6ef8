import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Service } from '../adapters/source/service.ts'
import { makeFolder, runCommand } from '../e2e/platform-process.ts'

test('tapeline instruments lists what the exchange trades, by glob, as a table and as JSON', async (t) => {
  const row = (base: string, quote: string) => ({
    ...{
      instId: `${base}-${quote}`,
      baseCcy: base,
      quoteCcy: quote,
      state: 'live',
      tickSz: '0.1',
      lotSz: '1',
    },
  })
  const body = { code: '0', data: [row('BTC', 'USDT'), row('ETH', 'USDT'), row('BTC', 'EUR')] }
  const service = await Service.start(t, { rest: () => ({ body }) })
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const config = join(folder.path, 'tapeline.yaml')
  await writeFile(config, JSON.stringify({ sources: [{ kind: 'okx', restUrl: service.restUrl }] }))
  const list = (...more: string[]) => runCommand(['instruments', '--config', config, ...more])
  const table = await list('--exchange', 'okx', '--search', 'btc-*')
  assert.equal(table.code, 0, table.stderr)
  assert.match(table.stdout, /BTC-USDT +BTC-USDT +0\.1 +1 +yes/)
  assert.doesNotMatch(table.stdout, /ETH/)
  const json = JSON.parse((await list('--json')).stdout) as { instruments: { symbol: string }[] }
  assert.deepEqual(
    json.instruments.map(({ symbol }) => symbol),
    ['BTC-USDT', 'ETH-USDT', 'BTC-EUR'],
  )
  const unknown = await list('--exchange', 'okex')
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /no source is called okex.*okx/)
})
