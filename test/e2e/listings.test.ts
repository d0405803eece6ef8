import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SPEAKERS } from '../adapters/source/exchanges.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, PlatformProcess, until } from './platform-process.ts'

test('markets with a star follow what the exchange lists, without a restart', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const okx = SPEAKERS.find(({ kind }) => kind.name === 'okx')
  assert.ok(okx)
  const listed = new Set(['BTC-USDT', 'ETH-USDT', 'BTC-EUR'])
  const asked = new Set<string>()
  const service = await Service.start(t, {
    rest: () => ({
      body: {
        code: '0',
        data: [...listed].map((instId) => {
          const [baseCcy, quoteCcy] = instId.split('-')
          return { instId, baseCcy, quoteCcy, state: 'live', tickSz: '0.1', lotSz: '0.1' }
        }),
      },
    }),
    received(frame, socket) {
      const isSubscribe = frame['op'] === 'subscribe'
      if (isSubscribe) for (const each of okx.answer(frame, [])) sendFrame(socket, each)
      for (const { instId } of frame['args'] as { readonly instId: string }[]) {
        if (isSubscribe) asked.add(instId)
        else asked.delete(instId)
      }
    },
  })
  const config = join(folder.path, 'tapeline.yaml')
  const source = {
    ...{ kind: 'okx', url: service.url, restUrl: service.restUrl, markets: ['okx:*-USDT'] },
    ...{ channels: ['trade'], listEvery: '200ms' },
  }
  await writeFile(config, JSON.stringify({ source }))
  const platform = new PlatformProcess(data, ['--config', config])
  t.after(() => platform.kill())
  await platform.start()
  const isAsked = (...symbols: string[]) =>
    asked.size === symbols.length && symbols.every((symbol) => asked.has(okx.name(symbol)))
  await until('what matches is asked for', () => isAsked('BTC-USDT', 'ETH-USDT'))
  listed.add('SOL-USDT')
  await until('a new listing is', () => isAsked('BTC-USDT', 'ETH-USDT', 'SOL-USDT'))
  listed.delete('ETH-USDT')
  await until('what is listed no more is not', () => isAsked('BTC-USDT', 'SOL-USDT'))
})
