import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { readLedger, storedTrades, tradeKey } from './ledger.ts'
import { makeFolder, PlatformProcess, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

interface Alert {
  readonly id: string
  readonly code: string
  readonly message: string
}

/** A platform on a simulator that emits so many trades, and a client that reads them all. */
async function start(t: TestContext, events: number, limits: Record<string, string>) {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  const ledger = join(folder.path, 'ledger')
  await copyStoreTemplate(join(data, 'store'))
  const simulator = await startSimulatorThread({ seed: 1, rate: 200, events, ledger })
  t.after(() => simulator.close())
  const platform = new PlatformProcess(
    data,
    ['--simulator', simulator.url, '--roles', 'coordinator,consumer-fixed,gateway,producer'],
    limits,
  )
  t.after(() => platform.kill())
  await platform.start()
  const api = await platform.api()
  const ask = async (path: string, body?: object): Promise<Response> =>
    fetch(`${api}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
  const alerts = async (): Promise<readonly Alert[]> =>
    ((await (await ask('/v1/alerts')).json()) as { alerts: Alert[] }).alerts
  const allTradesAreThere = async (): Promise<void> => {
    let emitted: readonly { readonly id: string }[] = []
    await until('the ledger is written', async () => {
      emitted = await readLedger(ledger).catch(() => [])
      return emitted.length === events
    })
    await until(
      'all are stored',
      async () =>
        (await platform.sql<{ n: number }>('select count(*)::int as n from trades'))[0]?.n === events,
    )
    const stored = new Set((await storedTrades(platform)).map(tradeKey))
    for (const trade of await readLedger(ledger)) assert.ok(stored.has(tradeKey(trade)), tradeKey(trade))
  }
  return { platform, api, ask, alerts, allTradesAreThere }
}

test('many streams are asked for where few may be: so many are made, the others are told why and when to ask again, and no trade is lost', async (t) => {
  const most = 500
  const { platform, api, ask, alerts, allTradesAreThere } = await start(t, 2_000, {
    TAPELINE_LIMITS_STREAMS: String(most),
    TAPELINE_STREAMS_MAX_PER_APPLICATION: '20000',
  })
  // Just after a start there may be no coordinator yet, which is said in another way.
  const { id: first } = await platform.post<{ id: string }>('/v1/streams', {
    channel: 'trade',
    symbols: ['*'],
  })
  await platform.remove(`/v1/streams/${first}`)
  const made: string[] = []
  const refused = new Map<string, number>()
  let asked = 0
  const askOn = async (): Promise<void> => {
    while (asked++ < 10 * most) {
      const answer = await ask('/v1/streams', {
        channel: 'trade',
        symbols: [`BTC-*`],
        where: `size > ${asked % 20}.5`,
      })
      const body = (await answer.json()) as { id: string; code: string; detail: string; remedy: string }
      if (answer.status === 201) made.push(body.id)
      else {
        const told = `${answer.status} ${body.code} ${answer.headers.get('retry-after')}`
        refused.set(told, (refused.get(told) ?? 0) + 1)
        assert.match(body.remedy, /limits\.streams/)
      }
    }
  }
  await Promise.all(Array.from({ length: 40 }, askOn))
  assert.equal(made.length, most)
  assert.deepEqual([...refused], [['503 LIMIT_REACHED 10', 9 * most]])
  assert.equal(await platform.metric('refused_total'), 9 * most)
  await until('an alert says so', async () => (await alerts()).some(({ id }) => id === 'overload-streams'))
  const client = await StreamClient.open(api)
  t.after(() => client.socket.terminate())
  client.send({ op: 'subscribe', spec: { channel: 'trade', symbols: ['*'] } })
  await until('a socket is told as well', () => client.messages.some(({ code }) => code === 'LIMIT_REACHED'))
  for (const id of made.slice(0, most / 10)) await platform.remove(`/v1/streams/${id}`)
  await until('the alert is over', async () => (await alerts()).length === 0)
  await platform.post('/v1/streams', { channel: 'trade', symbols: ['*'] })
  await allTradesAreThere()
})

test('a process whose heap is at its limit refuses streams and conflates quotes; it lives, and no trade is lost', async (t) => {
  const { platform, ask, alerts, allTradesAreThere } = await start(t, 2_000, { TAPELINE_LIMITS_HEAP: '16' })
  await until('an alert says so', async () => (await alerts()).some(({ id }) => id === 'overload'))
  assert.deepEqual(
    (await alerts()).map(({ id, code }) => [id, code]),
    [['overload', 'OVERLOADED']],
  )
  const answer = await ask('/v1/streams', { channel: 'trade', symbols: ['*'] })
  assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '10'])
  const problem = (await answer.json()) as { code: string; detail: string }
  assert.equal(problem.code, 'OVERLOADED')
  assert.match(problem.detail, /heap is at its limit of 16 MiB/)
  await until('quotes gave way', async () => (await platform.metric('source_conflated_total')) > 0)
  await until('it counts', async () => (await platform.metric('overloaded')) === 1)
  assert.ok((await platform.metric('limit_ratio', 'heap')) > 1)
  await allTradesAreThere()
  assert.equal(await platform.metric('source_dropped_total'), 0)
  const [quotes] = await platform.sql<{ n: number }>('select count(*)::int as n from quotes')
  assert.ok((quotes?.n ?? 0) > 0, 'quotes come all the same')
  assert.equal(await platform.stop(), 0, platform.output)
})
