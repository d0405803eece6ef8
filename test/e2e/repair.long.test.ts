import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AuditedDay } from '../../src/cli/audit/days.ts'
import { isoMicros } from '../../src/domain/time.ts'
import { SPEAKERS } from '../adapters/source/exchanges.ts'
import { answerPast, type PastTrade } from '../adapters/source/past.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const SECOND = 1_000_000
const MARKET = { exchange: 'kraken', symbol: 'BTC-USD' }

/** A trade a second over half an hour, which ended a while ago. */
const begin = Math.floor(Date.now() / 1_000 - 3_600) * SECOND
const trades: readonly PastTrade[] = Array.from({ length: 1_800 }, (_, i) => ({
  ...{ id: 1 + i, side: i % 2 === 0 ? 'buy' : 'sell', price: 100 + (i % 7), size: 1, ts: begin + i * SECOND },
}))

const backfill = (data: string, from: string, to: string) =>
  runCommand(['backfill', '--data', data, '--market', 'kraken:btc-usd', '--from', from, '--to', to])

interface GapRow {
  readonly state: string
  readonly cause: string
  readonly seconds: number
}

test('a gap of ten minutes is filled from history without a person, also after kill -9, and not into streams', async (t) => {
  const speaker = SPEAKERS.find(({ kind }) => kind.name === 'kraken')
  assert.ok(speaker)
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  let hasHistory = false
  const service = await Service.start(t, {
    received: (asked, socket) => {
      if (speaker.asks(asked) === undefined) return
      for (const each of speaker.answer(asked, [])) sendFrame(socket, each)
    },
    rest: (url) =>
      hasHistory ? answerPast('kraken', url, trades) : { status: 503, body: { error: ['EService:Down'] } },
  })
  const send = (from: number, to: number): void => {
    for (const { id, ...trade } of trades.slice(from, to))
      service.send(speaker.frame({ ...MARKET, ...trade, id: String(id) }))
  }
  const config = join(folder.path, 'tapeline.yaml')
  const source = {
    ...{ kind: 'kraken', url: service.url, restUrl: service.restUrl, markets: ['kraken:BTC-USD'] },
    ...{ reconnect: '200ms', reconnectMax: '1s', channels: ['trade'] },
  }
  await writeFile(config, JSON.stringify({ source }))
  const platform = new PlatformProcess(data, ['--config', config])
  t.after(() => platform.kill())
  await platform.start()
  const connected = () => until('it is asked for trades', () => service.received.length > 0)
  const count = async (): Promise<number> =>
    Number((await platform.sql<{ n: number }>('select count(*) as n from trades'))[0]?.n)
  const stored = (wanted: number) =>
    until(`${wanted} trades are stored`, async () => (await count()) === wanted)
  const gaps = () =>
    platform.sql<GapRow>(
      `select state, cause, extract(epoch from to_ts - from_ts)::int as seconds from status
       where state in ('gap', 'recovered') order by ts, state`,
    )

  await connected()
  const client = await StreamClient.open(await platform.api())
  await client.request({ channel: 'trade', symbols: ['BTC-USD'] })
  send(0, 300)
  await stored(300)
  service.received.length = 0
  service.cut()
  await connected()
  send(900, 1_200)
  await stored(600)
  await until('the gap is stored', async () => (await gaps()).length > 0)
  assert.deepEqual(await gaps(), [{ state: 'gap', cause: 'reconnect', seconds: 601 }])
  await until('it asked for the past', () => service.calls.length > 1)
  assert.equal(await count(), 600)
  const streamed = () => client.frames.flatMap(({ events }) => events).map(({ id }) => Number(id))
  await until('the stream has what came live', () => streamed().length >= 600)

  const audit = async () => {
    const { code, stdout, stderr } = await runCommand(['audit', '--data', data, '--json'])
    const { days } = JSON.parse(stdout) as { days: AuditedDay[] }
    assert.equal(stderr, '')
    return { code, gaps: days.flatMap((day) => day.gaps), twice: days.some(({ twice }) => twice > 0) }
  }
  const iso = (i: number) => isoMicros(trades[i]?.ts ?? 0)
  const wanted = { from: iso(299), to: iso(900), cause: 'reconnect' }
  const before = await audit()
  // A gap over midnight is one of both days.
  assert.deepEqual([before.code, before.gaps[0]?.from, before.gaps.at(-1)?.to], [1, wanted.from, wanted.to])
  const failed = await backfill(data, iso(0), iso(1_199))
  assert.equal(failed.code, 1)
  assert.match(failed.stderr, /SOURCE_UNAVAILABLE.*EService:Down|Go on with: tapeline backfill/s)

  await platform.kill()
  hasHistory = true
  service.received.length = 0
  await platform.start()
  await connected()
  await stored(1_200)
  await until('the gap is recovered', async () => (await gaps()).length === 2)
  assert.deepEqual(await gaps(), [
    { state: 'gap', cause: 'reconnect', seconds: 601 },
    { state: 'recovered', cause: 'reconnect', seconds: 601 },
  ])
  assert.deepEqual(await audit(), { code: 0, gaps: [], twice: false })
  const again = await StreamClient.open(await platform.api())
  await again.request({ channel: 'trade', symbols: ['BTC-USD'] })
  send(1_500, 1_800)
  await stored(1_800)
  await until('that gap is recovered too', async () => (await gaps()).length === 4)
  for (let times = 0; times < 2; times++) {
    const { code, stdout } = await backfill(data, iso(0), iso(1_799))
    assert.deepEqual([code, stdout], [0, `kraken:BTC-USD: 1800 trades from ${iso(0)} to ${iso(1_799)}\n`])
  }
  assert.deepEqual(await audit(), { code: 0, gaps: [], twice: false })
  const unknown = await runCommand([
    'backfill',
    '--data',
    data,
    '--market',
    'cryptocompare:BTC-USD',
    '--from',
    '1h',
  ])
  assert.deepEqual([unknown.code, unknown.stderr.includes('HISTORY_UNAVAILABLE')], [1, true])
  const [rows] = await platform.sql<{ n: number; ids: number; sum: number }>(
    `select count(*) as n, count(distinct id) as ids, sum(id::int) as sum from trades`,
  )
  assert.deepEqual(
    [rows?.n, rows?.ids, rows?.sum].map(Number),
    [1_800, 1_800, (1_800 * 1_801) / 2],
    'each trade is there once',
  )
  const live = () => again.frames.flatMap(({ events }) => events).map(({ id }) => Number(id))
  await until('the stream has what came live', () => live().length >= 300)
  const ids = (from: number, to: number) => trades.slice(from, to).map(({ id }) => id)
  assert.deepEqual(live(), ids(1_500, 1_800))
  assert.deepEqual(streamed(), [...ids(0, 300), ...ids(900, 1_200)])
  assert.equal(await platform.stop(), 0)
})
