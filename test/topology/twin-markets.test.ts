import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/config.ts'
import { createSource } from '../../src/topology/sources.ts'
import { quietLog } from '../quiet.ts'

test('two markets that an exchange has one name for are refused at the start, with both', async () => {
  const config = loadConfig({
    environment: {},
    flags: { source: { kind: 'binance', markets: ['binance:BTC-USDT', 'binance:BTCU-SDT'] } },
  })
  await assert.rejects(createSource(config, quietLog), {
    code: 'CONFIG_INVALID',
    message: /binance:BTC-USDT and binance:BTCU-SDT are one market of Binance: BTCUSDT/,
  })
})

test('a market that is named twice is one', async (t) => {
  const config = loadConfig({
    environment: {},
    flags: { source: { kind: 'binance', markets: ['binance:BTC-USDT', 'binance:btc-usdt'] } },
  })
  const { source, markets } = await createSource(config, quietLog)
  t.after(() => source.close())
  assert.equal(new Set(markets.current().map(({ symbol }) => symbol)).size, 1)
})
