import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { SPEAKERS } from '../adapters/source/exchanges.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

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

  type Known = {
    symbol: string
    read: boolean | null
    listing: { name: string; status: string; tick: string }
  }
  const statuses = async (query = '') => {
    const { markets } = await platform.get<{ markets: Known[] }>(`/v1/markets?exchange=okx${query}`)
    return Object.fromEntries(markets.map(({ symbol, listing, read }) => [symbol, [listing.status, read]]))
  }
  const isEqual = (one: object, other: object) => isDeepStrictEqual(one, other)
  await until('all that is listed is known, what is delisted too', async () =>
    isEqual(await statuses(), {
      'BTC-EUR': ['trading', false],
      'BTC-USDT': ['trading', true],
      'ETH-USDT': ['delisted', false],
      'SOL-USDT': ['trading', true],
    }),
  )
  assert.deepEqual(await statuses('&search=eur'), { 'BTC-EUR': ['trading', false] })
  const shown = await runCommand(['markets', '--data', data, '--exchange', 'okx', '--search', 'ETH'])
  assert.match(shown.stdout, /ETH-USDT\s+okx\s+ETH-USDT\s+delisted\s+no\s+0/)

  await platform.stop()
  listed.delete('BTC-EUR')
  listed.add('ETH-USDT')
  await platform.start()
  await until('what changed meanwhile is known too', async () =>
    isEqual(await statuses(), {
      'BTC-EUR': ['delisted', false],
      'BTC-USDT': ['trading', true],
      'ETH-USDT': ['trading', true],
      'SOL-USDT': ['trading', true],
    }),
  )
  const [row] = await platform.sql<{ n: number }>("select count(*) as n from instruments where tick = '0.1'")
  assert.equal(row?.n, 4)
})
