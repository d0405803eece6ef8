import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { delay } from '../../../src/async/timers.ts'
import { openEvents } from '../../gateway/event-client.ts'
import { SEED } from '../../seed.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { answered, until } from '../platform-process.ts'
import { type Cluster, openCluster, startAll } from './cluster.ts'

const GATEWAYS = ['first', 'second'] as const
const ROWS = 300_000
/** What a key has open may last so long after its end. */
const WITHIN_MS = 5_000

describe('keys on two gateways on Kafka', requireServer(kafkaMissing()), () => {
  let cluster: Cluster

  before(async () => {
    cluster = await openCluster({
      ...{ seed: SEED, rate: 50 },
      roles: { work: 'producer,coordinator,consumer-fixed', first: 'gateway', second: 'gateway' },
      environment: { TAPELINE_API_KEYS: 'admin:admin-secret' },
    })
    await startAll(cluster)
    await cluster.sql(
      `insert into trades (exchange, symbol, id, side, price, size, ts, recv_ts)
       select 'kraken', 'OLD-USD', n::text, 'buy', 1, 1, t, t
       from (select n, timestamptz '2026-01-01' + n * interval '1 millisecond' as t from generate_series(1, ${ROWS}) n) as made`,
    )
  })
  after(() => cluster.close())

  const ask = (
    gateway: string,
    path: string,
    key: string,
    method = 'GET',
    body?: object,
  ): Promise<Response> =>
    answered(`${method} ${path}`, () =>
      fetch(`${cluster.api(gateway)}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
      }),
    )
  const json = async <T>(answer: Promise<Response>): Promise<T> => (await (await answer).json()) as T

  /** A download that takes a piece at a time. Gives how it ended, and how many rows it had. */
  const download = async (
    gateway: string,
    key: string,
    format: string,
  ): Promise<{ end: Promise<string>; rows: () => number }> => {
    const url = `${cluster.api(gateway)}/v1/trades?symbol=OLD-USD&from=2026-01-01&format=${format}`
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(url, { headers: { authorization: `Bearer ${key}` }, agent: false }, resolve).once('error', reject)
    })
    assert.equal(response.statusCode, 200)
    let rows = 0
    const read = async (): Promise<string> => {
      let last = ''
      try {
        for await (const chunk of response.setEncoding('utf8')) {
          rows += String(chunk).split('\n').length - 1
          last = (last + chunk).slice(-500)
          await delay(50)
        }
      } catch {
        return 'cut'
      }
      return last
    }
    return { end: read(), rows: () => rows }
  }

  test(`all that a revoked key has open ends on both: sockets, events, downloads (seed ${SEED})`, async (t) => {
    const made = await json<{ id: string; key: string }>(
      ask('first', '/v1/keys', 'admin-secret', 'POST', { app: 'bot-1' }),
    )
    const { id, key } = made
    const { key: other } = await json<{ key: string }>(
      ask('second', '/v1/keys', 'admin-secret', 'POST', { app: 'bot-2' }),
    )
    await until('both gateways know the keys', async () => {
      const answers = await Promise.all(
        GATEWAYS.flatMap((gateway) => [key, other].map((each) => ask(gateway, '/v1/streams', each))),
      )
      return answers.every(({ status }) => status === 200)
    })
    const trades = { channel: 'trade', symbols: ['*'] }
    const { id: stream } = await json<{ id: string }>(ask('first', '/v1/streams', key, 'POST', trades))
    const { id: others } = await json<{ id: string }>(ask('first', '/v1/streams', other, 'POST', trades))

    const open = async (gateway: string, bearer: string, streamId: string) => {
      const api = cluster.api(gateway)
      const socket = new WebSocket(`${api.replace('http', 'ws')}/v1/ws?key=${bearer}`)
      await once(socket, 'open')
      t.after(() => socket.terminate())
      socket.send(JSON.stringify({ op: 'subscribe', stream: streamId }))
      const headers = { authorization: `Bearer ${bearer}` }
      const events = await openEvents(t, `${api}/v1/streams/${streamId}/events`, headers)
      await Promise.all([once(socket, 'message'), events.next()])
      return { socket, events }
    }
    const mine = await Promise.all(GATEWAYS.map((gateway) => open(gateway, key, stream)))
    const theirs = await Promise.all(GATEWAYS.map((gateway) => open(gateway, other, others)))
    const downloads = await Promise.all(
      GATEWAYS.flatMap((gateway) => ['ndjson', 'csv'].map((format) => download(gateway, key, format))),
    )
    await until('all downloads run', () => downloads.every(({ rows }) => rows() > 0))

    assert.equal((await ask('second', `/v1/keys/${id}`, 'admin-secret', 'DELETE')).status, 204)
    const begun = performance.now()
    const noted = <T>(ended: Promise<T>): Promise<readonly [T, number]> =>
      ended.then((how) => [how, performance.now() - begun] as const)
    const ends = await Promise.all([
      ...mine.map(({ socket }) => noted(once(socket, 'close').then(([code]) => String(code)))),
      ...mine.map(({ events }) => noted(drain(events))),
      ...downloads.map(({ end }) => noted(end)),
    ])
    t.diagnostic(`ended after ${ends.map(([, ms]) => Math.round(ms)).join(', ')} ms`)
    for (const [how, ms] of ends) assert.ok(ms < WITHIN_MS, `${ms} ms: ${how}`)
    for (const [code] of ends.slice(0, 2)) assert.equal(code, '1008')
    for (const [how] of ends.slice(4)) assert.ok(how === 'cut' || how.includes('UNAUTHORIZED'), how)
    for (const { rows } of downloads) assert.ok(rows() < ROWS, 'not all of it')
    for (const gateway of GATEWAYS) {
      assert.equal((await ask(gateway, '/v1/streams', key)).status, 401)
      assert.equal((await ask(gateway, '/v1/streams', '')).status, 401)
      assert.equal((await ask(gateway, `/v1/streams/${stream}`, other)).status, 404)
      assert.equal((await ask(gateway, `/v1/streams/${stream}`, 'admin-secret')).status, 200)
    }
    for (const { socket, events } of theirs) {
      await Promise.all([once(socket, 'message'), events.next()])
      assert.equal(socket.readyState, WebSocket.OPEN, 'others go on')
    }
  })
})

/** Reads a stream of events to its end. */
async function drain(events: Awaited<ReturnType<typeof openEvents>>): Promise<string> {
  try {
    while ((await events.next()) !== undefined);
    return 'end'
  } catch {
    return 'cut'
  }
}
