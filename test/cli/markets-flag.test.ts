import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { capture } from '../adapters/source/captures.ts'
import { SPEAKERS } from '../adapters/source/exchanges.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { makeFolder, runCommand } from '../e2e/platform-process.ts'
import { copyStoreTemplate } from '../store-template.ts'

async function folderOf(t: TestContext): Promise<string> {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  return folder.path
}

describe('tapeline record --markets', () => {
  test('asks the source for these, with the settings that the configuration has for it', async (t) => {
    const speaker = SPEAKERS.find(({ kind }) => kind.name === 'kraken')
    assert.ok(speaker)
    const service = await Service.start(t, {
      received: (asked, socket) => {
        for (const each of speaker.asks(asked) ? speaker.answer(asked, []) : []) sendFrame(socket, each)
      },
    })
    const folder = await folderOf(t)
    const config = join(folder, 'tapeline.yaml')
    const standing = { kind: 'kraken', url: service.url, markets: ['kraken:SOL-USD'], channels: ['trade'] }
    await writeFile(config, JSON.stringify({ sources: [standing] }))
    const { code, stderr } = await runCommand([
      ...['record', '--config', config, '--out', join(folder, 'recordings'), '--for', '500ms'],
      ...['--source', 'kraken', '--markets', 'kraken:btc-usd, kraken:ETH-USD,'],
    ])
    assert.equal(code, 0, stderr)
    assert.match(stderr, /Recording 2 markets/)
    const asked = service.received.flatMap((frame) => speaker.asks(frame) ?? [])
    assert.deepEqual([...new Set(asked)].toSorted(), ['BTC/USD', 'ETH/USD'])
  })

  for (const [what, flags, code, words] of [
    ['without a source', ['--markets', 'kraken:BTC-USD'], 2, /--markets goes with --source/],
    ['of another exchange', ['--source', 'kraken', '--markets', 'okx:BTC-USD'], 1, /CONFIG_INVALID.*Kraken/],
    ['that is none', ['--source', 'kraken', '--markets', 'BTC-USD'], 1, /CONFIG_INVALID.*markets/],
  ] as const)
    test(`${what} is refused`, async (t) => {
      const out = join(await folderOf(t), 'recordings')
      const result = await runCommand(['record', '--out', out, ...flags])
      assert.equal(result.code, code, result.stderr)
      assert.match(result.stderr, words)
    })
})

const { path, skip } = capture('COINBASE.ws.28.0')

describe('tapeline replay --markets', () => {
  test('takes these alone', { skip }, async (t) => {
    const data = join(await folderOf(t), 'data')
    await copyStoreTemplate(join(data, 'store'))
    const { code, stdout, stderr } = await runCommand([
      ...['replay', path, '--data', data, '--exit', '--json'],
      ...['--markets', 'coinbase:skl-usd, coinbase:NMR-EUR,'],
    ])
    assert.equal(code, 0, stderr)
    const { trades, markets } = JSON.parse(stdout) as { trades: number; markets: number }
    assert.equal(markets, 2)
    assert.ok(trades > 0 && trades < 107, `${trades} trades`)
  })

  test('one that is none is refused', { skip }, async (t) => {
    const data = join(await folderOf(t), 'data')
    const { code, stderr } = await runCommand(['replay', path, '--data', data, '--markets', 'SKL-USD'])
    assert.equal(code, 2, stderr)
    assert.match(stderr, /--markets takes markets such as kraken:BTC-USD, not .*SKL-USD/)
  })
})
