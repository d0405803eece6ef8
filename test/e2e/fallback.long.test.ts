import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SPEAKERS } from '../adapters/source/exchanges.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

const MARKET = { exchange: 'binance', symbol: 'BTC-USDT' }

/** A service of Binance's that sends trades of one market, by their ids, to whoever is connected. */
async function startBinance(t: TestContext) {
  const speaker = SPEAKERS.find(({ kind }) => kind.name === MARKET.exchange)
  assert.ok(speaker)
  let isAsked = false
  const service = await Service.start(t, {
    connected() {
      isAsked = false
    },
    received(asked, socket) {
      if (speaker.asks(asked) === undefined) return
      for (const each of speaker.answer(asked, [])) sendFrame(socket, each)
      isAsked = true
    },
  })
  const send = (from: number, to: number) => {
    for (let id = from; id <= to; id++) {
      const ts = 1_753_190_418_000_000 + id * 1_000
      service.send(speaker.frame({ ...MARKET, id: String(id), side: 'buy', price: 1, size: 1, ts }))
    }
  }
  return { service, send, isAsked: () => service.sockets.length === 1 && isAsked }
}

test('a fallback takes over and gives back: no trade twice, none lost that either had, one gap for what nobody had', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const [first, second] = [await startBinance(t), await startBinance(t)]
  const config = join(folder.path, 'tapeline.yaml')
  const quick = { reconnect: '50ms', reconnectMax: '200ms' }
  const source = {
    ...{
      kind: 'binance',
      url: first.service.url,
      markets: ['binance:BTC-USDT'],
      channels: ['trade'],
      ...quick,
    },
    fallback: { kind: 'binance', url: second.service.url, after: '1s', ...quick },
  }
  await writeFile(config, JSON.stringify({ source }))
  const platform = new PlatformProcess(data, ['--config', config])
  t.after(() => platform.kill())
  await platform.start()
  const rows = async (sql: string): Promise<Record<string, unknown>[]> => {
    const { stdout, stderr, code } = await runCommand(['sql', '--data', data, '--json', sql])
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as Record<string, unknown>[]
  }
  const stored = (id: number) =>
    until(`trade ${id}`, async () => (await rows(`select 1 from trades where id = '${id}'`)).length > 0)

  await until('the first one is asked alone', () => first.isAsked() && second.service.sockets.length === 0)
  first.send(1, 100)
  await stored(100)
  first.service.behaviour.refuse = 503
  first.service.cut()
  await until('the fallback is asked', second.isAsked)
  // Nobody has told those between.
  second.send(111, 200)
  await stored(200)
  delete first.service.behaviour.refuse
  await until('the first one is asked again', first.isAsked)
  first.send(151, 300)
  second.send(201, 250)
  await stored(300)
  await until('the fallback rests', () => second.service.sockets.length === 0)
  first.send(301, 400)
  await stored(400)

  const [counted] = await rows('select count(*) as rows, count(distinct id) as ids from trades')
  assert.deepEqual(counted, { rows: 390, ids: 390 })
  assert.deepEqual(await rows(`select count(*) as n from trades where id::int between 101 and 110`), [
    { n: 0 },
  ])
  const gaps = () => rows(`select source, symbol, cause from status where state = 'gap'`)
  await until('the gap is stored', async () => (await gaps()).length > 0)
  assert.deepEqual(await gaps(), [{ source: 'binance', symbol: 'BTC-USDT', cause: 'reconnect' }])
})
