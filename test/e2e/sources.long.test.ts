import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { SPEAKERS } from '../adapters/source/exchanges.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

const EXCHANGES = ['binance', 'kraken', 'okx'] as const
const PART = 100

/** The trades of one exchange: each part of them is sent to whoever is connected. */
interface Exchange {
  readonly name: string
  readonly service: Service
  send(from: number): void
}

test('several sources in one platform: one that is away is told, delays nobody, and has a gap of its own', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const exchanges: Exchange[] = []
  for (const name of EXCHANGES) {
    const speaker = SPEAKERS.find(({ kind }) => kind.name === name)
    assert.ok(speaker)
    const service = await Service.start(t, {
      received: (asked, socket) => {
        if (speaker.asks(asked) === undefined) return
        for (const each of speaker.answer(asked, [])) sendFrame(socket, each)
      },
    })
    const market = { exchange: name, symbol: 'BTC-USD' }
    const send = (from: number) => {
      for (let id = from; id < from + PART; id++) {
        const ts = Date.now() * 1_000
        service.send(speaker.frame({ ...market, id: String(id), side: 'buy', price: 1, size: 1, ts }))
      }
    }
    exchanges.push({ name, service, send })
  }
  const sources = exchanges.map(({ name, service }) => ({
    ...{ kind: name, url: service.url, markets: [`${name}:BTC-USD`] },
    ...{ reconnect: '200ms', reconnectMax: '1s' },
    // The others may take their time on a busy machine.
    ...(name === 'kraken' && { fallbackAfter: '500ms', timeout: '1s' }),
  }))
  const config = join(folder.path, 'tapeline.yaml')
  await writeFile(config, JSON.stringify({ sources, alerts: { after: '1s' } }))
  const told: string[] = []
  const receiver = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    told.push((JSON.parse(body) as { text: string }).text)
    response.end('ok')
  }).listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  t.after(() => receiver.close())
  const webhook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/services/hunter22`
  const platform = new PlatformProcess(data, ['--config', config], { TAPELINE_ALERTS_WEBHOOK: webhook })
  t.after(() => platform.kill())
  await platform.start()

  const rows = async (sql: string): Promise<Record<string, unknown>[]> => {
    const { stdout, stderr, code } = await runCommand(['sql', '--data', data, '--json', sql])
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as Record<string, unknown>[]
  }
  const countOf = async (name: string) =>
    Number((await rows(`select count(*) as n from trades where exchange = '${name}'`))[0]?.['n'])
  const stored = (name: string, count: number) =>
    until(`${count} trades of ${name}`, async () => (await countOf(name)) === count)
  const alertIds = async () => {
    const { alerts } = await platform.get<{ alerts: { id: string; code: string }[] }>('/v1/alerts')
    return alerts.map(({ id }) => id).filter((id) => id.startsWith('source'))
  }

  for (const { name, service, send } of exchanges) {
    await until(
      `${name} is asked`,
      () => service.sockets.length === 1 && service.received.length > 1 - Number(name !== 'kraken'),
    )
    send(1)
    await stored(name, PART)
  }
  const kraken = exchanges.find(({ name }) => name === 'kraken')
  const others = exchanges.filter((each) => each !== kraken)
  assert.ok(kraken)
  kraken.service.behaviour.hang = true
  kraken.service.cut()
  await until('the one that is away is told', async () => (await alertIds()).includes('source-kraken'))
  for (const { name, send } of others) {
    send(1 + PART)
    await stored(name, 2 * PART)
  }
  assert.deepEqual(await alertIds(), ['source-kraken'])
  await until('the receiver of alerts hears of it', () =>
    told.some((text) => text.includes('alert source-kraken')),
  )
  const shown = await runCommand(['alerts', '--data', data])
  assert.deepEqual([shown.code, shown.stdout.includes('source-kraken')], [1, true])
  assert.ok(!platform.output.includes('hunter22'))
  const asked = kraken.service.received.length
  kraken.service.behaviour.hang = false
  await until(
    'it is connected and asked again',
    () => kraken.service.sockets.length === 1 && kraken.service.received.length > asked + 1,
  )
  await until('its alert has ended', async () => (await alertIds()).length === 0)
  kraken.send(1 + 2 * PART)
  await stored('kraken', 2 * PART)
  await until(
    'its gap is stored',
    async () => (await rows(`select 1 from status where state = 'gap'`)).length > 0,
  )
  assert.deepEqual(await rows(`select source, exchange, symbol, cause from status where state = 'gap'`), [
    { source: 'kraken', exchange: 'kraken', symbol: 'BTC-USD', cause: 'reconnect' },
  ])
})
