import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { BAD_BODIES, body } from './bad-bodies.ts'
import { answered, makeFolder, PlatformProcess, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const GRACE_MS = 1_000
const MOST_STREAMS = 210
/** How long after the grace a topic may still be there. */
const GONE_MS = 10_000
const JSON_BODY = { 'content-type': 'application/json' }
/** Longer than the simulator ever says nothing: it sends quotes every 250 ms. */
const QUIET_MS = 600

const configuration = (symbols: string): string => `
streams:
  standing:
    bitcoin:
      channel: trade
      symbols: ['${symbols}']
`

interface Stream {
  readonly id: string
  readonly topic: string
  readonly standing: boolean
  readonly ttl: number
  readonly spec: { readonly symbols: readonly string[] }
}

interface Problem {
  readonly code: string
  readonly status: number
  readonly remedy: string
  readonly errors?: readonly { readonly field: string; readonly message: string; readonly remedy: string }[]
}

describe('streams', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess
  let api: string
  let config: string
  const clients: StreamClient[] = []

  before(async () => {
    folder = await makeFolder()
    await copyStoreTemplate(join(folder.path, 'data', 'store'))
    config = join(folder.path, 'tapeline.yaml')
    await writeFile(config, configuration('BTC-*'))
    simulator = await startSimulatorThread({ seed: 1, rate: 200 })
    platform = new PlatformProcess(
      join(folder.path, 'data'),
      ['--simulator', simulator.url, '--config', config],
      { TAPELINE_STREAMS_GRACE: `${GRACE_MS}ms`, TAPELINE_STREAMS_MAX_PER_APPLICATION: String(MOST_STREAMS) },
    )
    await platform.start()
    api = await platform.api()
  })
  after(async () => {
    for (const client of clients) client.socket.terminate()
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  const open = async (): Promise<StreamClient> => {
    const client = await StreamClient.open(api)
    clients.push(client)
    return client
  }
  const create = (spec: object): Promise<Stream> => platform.post<Stream>('/v1/streams', spec)
  const remove = ({ id }: Pick<Stream, 'id'>): Promise<void> => platform.remove(`/v1/streams/${id}`)
  const streams = async (): Promise<Stream[]> =>
    (await platform.get<{ streams: Stream[] }>('/v1/streams')).streams.filter(({ standing }) => !standing)
  const topics = async (): Promise<string[]> =>
    (await platform.get<{ topics: { name: string }[] }>('/v1/topics')).topics.map(({ name }) => name)
  const exists = async (id: string): Promise<boolean> =>
    (await fetch(`${api}/v1/streams/${id}`)).status === 200

  test('a standing stream of the configuration is there, and can be read by its name', async () => {
    await until('it is there', async () => exists('bitcoin'))
    const { standing, ttl } = await platform.get<Stream>('/v1/streams/bitcoin')
    assert.deepEqual({ standing, ttl }, { standing: true, ttl: 0 })
    const client = await open()
    client.send({ op: 'subscribe', stream: 'bitcoin' })
    await until('its trades come', () => client.count('bitcoin') > 10)
    client.cut()
    assert.ok(client.events('bitcoin').every(({ symbol }) => symbol.startsWith('BTC-')))
  })

  for (const [what, text, code, field] of BAD_BODIES) {
    test(`a body with ${what} is refused: ${code}${field ? `, ${field}` : ''}`, async () => {
      const response = await fetch(`${api}/v1/streams`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: text,
      })
      assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
      const problem = (await response.json()) as Problem
      assert.ok(response.status >= 400 && response.status < 500, `status ${response.status}`)
      assert.equal(problem.status, response.status)
      assert.equal(problem.code, code)
      assert.ok(problem.remedy, 'it says what to do')
      if (field === undefined) return
      const named = problem.errors?.find((each) => each.field === field)
      assert.ok(named, `errors name ${field}: ${JSON.stringify(problem.errors)}`)
      assert.ok(named.message && named.remedy, 'and what is wrong with it, and what to do')
    })
  }

  test('a body of another media type is refused', async () => {
    const response = await fetch(`${api}/v1/streams`, { method: 'POST', body: body({}) })
    assert.equal(response.status, 415)
    assert.equal(((await response.json()) as Problem).code, 'MEDIA_TYPE_UNSUPPORTED')
  })

  test('no refused request has made anything', async () => {
    assert.deepEqual(await streams(), [])
  })

  test('200 requests at once for 50 different streams make 200 leases on 50 topics, which go with the leases', async (t) => {
    const before = await topics()
    const asked = performance.now()
    const made = await Promise.all(
      Array.from({ length: 200 }, (_, i) => create({ channel: 'trade', symbols: [`A${i % 50}-USD`] })),
    )
    t.diagnostic(`200 leases on 50 topics after ${Math.round(performance.now() - asked)} ms`)
    const names = new Set(made.map(({ topic }) => topic))
    assert.equal(new Set(made.map(({ id }) => id)).size, 200)
    assert.equal(names.size, 50)
    assert.equal((await streams()).length, 200)
    assert.deepEqual((await topics()).filter((name) => !before.includes(name)).sort(), [...names].sort())

    await Promise.all(made.map(remove))
    assert.deepEqual(await streams(), [])
    await until(
      'the topics are gone',
      async () => !(await topics()).some((name) => names.has(name)),
      GRACE_MS + GONE_MS,
    )
    assert.deepEqual((await topics()).sort(), before.sort(), 'and the others are still there')
  })

  test('an application gets no more streams than it may have, also by requests that come at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: MOST_STREAMS + 20 }, async () => {
        const response = await answered('a request for a stream', () =>
          fetch(`${api}/v1/streams`, { method: 'POST', headers: JSON_BODY, body: body({}) }),
        )
        return { status: response.status, answer: (await response.json()) as Stream & Problem }
      }),
    )
    // Also those whose answer was lost on its way.
    const made = await streams()
    const codes = answers.filter(({ status }) => status !== 201).map(({ answer }) => answer.code)
    await Promise.all(made.map(remove))
    assert.equal(made.length, MOST_STREAMS)
    assert.deepEqual([...new Set(codes)], ['STREAM_LIMIT'])
  })

  test('equal requests share a topic, however they are written', async () => {
    const written = [
      '{"channel":"trade","symbols":["BTC-*","btc-*"],"where":"size>=0.5&&side==\\"buy\\"","fields":["price","size"]}',
      '{"fields":["size","price","ts"],"where":"  (size  >= 0.50) && (side == \'buy\') ","symbols":["BTC-**"],"channel":"trade","ttl":60}',
      '{ "symbols": ["btc-*"], "exchanges": [], "channel": "trade", "fields": ["price","size"], "where": "size >= 5e-1 && side == r\'buy\'" }',
    ]
    const made: Stream[] = []
    for (const text of written) {
      const answer = await fetch(`${api}/v1/streams`, { method: 'POST', headers: JSON_BODY, body: text })
      assert.equal(answer.status, 201, await answer.clone().text())
      made.push((await answer.json()) as Stream)
    }
    assert.deepEqual(
      [new Set(made.map(({ id }) => id)).size, new Set(made.map(({ topic }) => topic)).size],
      [3, 1],
    )
    for (const each of made) await remove(each)
  })

  test('a cursor that is forged, cut, padded or of another stream is refused by each way that takes one', async () => {
    const stream = await create({ channel: 'trade', symbols: ['BTC-*'] })
    const other = await create({ channel: 'trade', symbols: ['ETH-*'] })
    const cursorOf = async ({ id }: Stream): Promise<string> => {
      const client = await open()
      client.send({ op: 'subscribe', stream: id })
      await until('it has a cursor', () => client.cursors.has(id))
      return client.cursors.get(id) ?? ''
    }
    const [cursor, foreign] = [await cursorOf(stream), await cursorOf(other)]
    const bytes = Buffer.from(cursor, 'base64url')
    const forged = Buffer.from(bytes.map((byte, i) => (i === bytes.length >> 1 ? byte ^ 0xff : byte)))
    const bad = {
      ...{ forged: forged.toString('base64url'), cut: cursor.slice(0, -3), padded: `${cursor}==` },
      ...{ longer: cursor + 'A'.repeat(5_000), none: 'x', foreign },
    }
    for (const [what, text] of Object.entries(bad)) {
      const events = await fetch(`${api}/v1/streams/${stream.id}/events?cursor=${encodeURIComponent(text)}`)
      const body = JSON.stringify({ url: 'https://example.com/', stream: stream.id, cursor: text })
      const hook = await fetch(`${api}/v1/webhooks`, { method: 'POST', headers: JSON_BODY, body })
      for (const answer of [events, hook]) {
        const { code } = (await answer.json()) as Problem
        assert.deepEqual([answer.status, code], [400, 'CURSOR_INVALID'], `${what}: ${answer.url}`)
      }
      const client = await open()
      client.send({ op: 'subscribe', stream: stream.id, cursor: text })
      await until('it is answered', () => client.messages.length > 0)
      assert.equal(client.messages[0]?.code, 'CURSOR_INVALID', what)
    }
    for (const each of [stream, other]) await remove(each)
  })

  test('an equal request within the grace takes the topic over; after it there is a new one', async () => {
    const spec = { channel: 'trade', symbols: ['*-EUR'] }
    let [first, second] = [await create(spec), await create(spec)]
    await until('an equal request came within the grace', async () => {
      await remove(second)
      const begun = performance.now()
      await remove(first)
      second = await create({ ...spec, symbols: ['*-eur'] })
      const isWithin = performance.now() - begun < GRACE_MS
      if (!isWithin) first = await create(spec)
      return isWithin
    })
    assert.equal(second.topic, first.topic)
    assert.notEqual(second.id, first.id)
    const client = await open()
    client.send({ op: 'subscribe', stream: second.id })
    const taken = performance.now()
    await until('it is served beyond the grace', () => {
      const last = client.frames.length
      return last > 0 && performance.now() - taken > 2 * GRACE_MS
    })
    assert.ok((await topics()).includes(first.topic))
    await remove(second)
    await until('the topic is gone', async () => !(await topics()).includes(first.topic), GRACE_MS + GONE_MS)
    const third = await create(spec)
    assert.notEqual(third.topic, first.topic)
    await remove(third)
    client.cut()
  })

  test('a lease ends when its time is over and nobody reads it, and not while somebody does', async () => {
    const read = await create({ channel: 'trade', symbols: ['ETH-*'], ttl: '5s' })
    const leaves = await create({ channel: 'trade', symbols: ['BTC-*'], ttl: 5 })
    const [client, leaving] = [await open(), await open()]
    client.send({ op: 'subscribe', stream: read.id })
    leaving.send({ op: 'subscribe', stream: leaves.id })
    await until('data flow', () => client.count(read.id) > 0 && leaving.count(leaves.id) > 0)
    leaving.cut()
    const left = await create({ channel: 'trade', symbols: ['SOL-*'], ttl: 5 })
    await until('the lease without a reader has ended', async () => !(await exists(left.id)))
    await until('and the one whose reader has gone', async () => !(await exists(leaves.id)))
    assert.ok(await exists(read.id), 'the lease that is read lives on')
    const before = client.count(read.id)
    await until('and delivers', () => client.count(read.id) > before)
    client.cut()
  })

  test('a new stream of quotes begins with the latest known ones, even while the source says nothing', async () => {
    await until(
      'quotes are known',
      async () => (await platform.sql('select 1 from quotes limit 1')).length > 0,
    )
    await simulator.misbehave(['stall'])
    try {
      let published = -1
      await until('the source has fallen silent', async () => {
        const before = published
        await delay(QUIET_MS)
        published = await platform.metric('published_records_total')
        return published === before
      })
      const client = await open()
      const stream = await client.request({ channel: 'quote', symbols: ['BTC-USD'] })
      await until('the latest quotes come', () => client.count(stream) > 0)
      client.cut()
    } finally {
      await simulator.misbehave([])
    }
  })

  test('the first event of a new stream comes soon', async (t) => {
    const probe = await open()
    const flow = await probe.request({ channel: 'trade', symbols: ['*'] })
    await until('trades flow again', () => probe.count(flow) > 0)
    const millis: number[] = []
    for (let i = 0; i < 20; i++) {
      const client = await open()
      const asked = performance.now()
      await client.request({ channel: 'trade', symbols: ['*-USD', '*-EUR', '*-USDT', '*-BTC', `NEW${i}`] })
      await until('an event came', () => client.firstDataAt !== undefined)
      millis.push((client.firstDataAt ?? 0) - asked)
      client.cut()
    }
    millis.sort((a, b) => a - b)
    const [median, worst] = [millis[10] ?? 0, millis.at(-1) ?? 0]
    t.diagnostic(
      `request to first event at 200 trades/s: median ${median.toFixed(0)} ms, worst of 20 ${worst.toFixed(0)} ms`,
    )
  })

  test('a standing stream that asks for something else after a restart is a new one under its name', async () => {
    const { topic } = await platform.get<Stream>('/v1/streams/bitcoin')
    await writeFile(config, configuration('ETH-*'))
    assert.equal(await platform.stop(), 0, platform.output)
    await platform.start()
    api = await platform.api()
    await until('it is there', async () => {
      const { streams: all } = await platform.get<{ streams: Stream[] }>('/v1/streams')
      const [stream] = all.filter(({ id }) => id === 'bitcoin')
      return stream?.spec.symbols[0] === 'ETH-*' && stream.topic !== topic
    })
    const client = await open()
    client.send({ op: 'subscribe', stream: 'bitcoin' })
    await until('its trades come', () => client.count('bitcoin') > 0)
    assert.ok(client.events('bitcoin').every(({ symbol }) => symbol.startsWith('ETH-')))
    await until('the former topic is gone', async () => !(await topics()).includes(topic), GRACE_MS + GONE_MS)
  })
})
