import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { Connection } from '../../src/simulator/connection.ts'
import { textFrame } from '../../src/simulator/frame.ts'
import { Client, call, simulate } from './client.ts'

const BTC = 'Coinbase~BTC~USD'

describe('the simulator speaks WebSocket v2', () => {
  test('welcomes a client, with the fields of the documentation', async (t) => {
    const simulator = await simulate(t)
    const client = await Client.open(t, simulator)
    const welcome = await client.message('20')
    assert.equal(welcome['MESSAGE'], 'STREAMERWELCOME')
    for (const field of [
      'SERVER_UPTIME_SECONDS',
      'SERVER_TIME_MS',
      'SOCKETS_ACTIVE',
      'RATELIMIT_REMAINING_MINUTE',
    ]) {
      assert.equal(typeof welcome[field], 'number', field)
    }
    for (const field of ['SERVER_NAME', 'SOCKET_ID', 'DATA_FORMAT'])
      assert.equal(typeof welcome[field], 'string', field)
    assert.equal(welcome['RATELIMIT_MAX_MINUTE'], 60)
    assert.equal(welcome['RATELIMIT_REMAINING_MINUTE'], 59)
  })

  test('refuses a client without a key by 401, and takes one in the header', async (t) => {
    const simulator = await simulate(t)
    const without = new Client(simulator.websocketUrl)
    t.after(() => without.websocket.terminate())
    const refusal = await without.message('401')
    assert.equal(refusal['MESSAGE'], 'UNAUTHORIZED')
    assert.equal(typeof refusal['PARAMETER'], 'string')
    await without.ended()
    const withHeader = new Client(simulator.websocketUrl, { authorization: 'Apikey secret' })
    t.after(() => withHeader.websocket.terminate())
    await withHeader.message('20')
  })

  test('sends the first payload, then 16 for each subscription, then 3', async (t) => {
    const simulator = await simulate(t)
    const client = await Client.open(t, simulator)
    const subs = [
      `0~${BTC}`,
      `2~${BTC}`,
      '5~CCCAGG~BTC~USD',
      `8~${BTC}`,
      '11~BTC',
      '21~BTC',
      `24~${BTC}`,
      `24~${BTC}~H`,
      '24~CCCAGG~BTC~USD~D',
      `30~${BTC}`,
    ]
    client.add(...subs)
    assert.equal((await client.message('3'))['MESSAGE'], 'LOADCOMPLETE')
    const upToLoad = client.messages.slice(
      1,
      client.messages.findIndex((message) => message['TYPE'] === '3'),
    )
    assert.deepEqual(
      upToLoad.map((message) => message['TYPE']),
      [
        '16',
        '2',
        '16',
        '5',
        '16',
        '9',
        '16',
        '11',
        '16',
        '21',
        '16',
        '24',
        '16',
        '24',
        '16',
        '24',
        '16',
        '30',
        '16',
      ],
    )
    assert.deepEqual(
      client.of('16').map((message) => message['SUB']),
      subs,
    )
    assert.deepEqual(
      client.of('24').map((candle) => [candle['MARKET'], candle['UNIT'], candle['ACTION']]),
      [
        ['Coinbase', 'm', 'I'],
        ['Coinbase', 'H', 'I'],
        ['CCCAGG', 'D', 'I'],
      ],
    )
    assert.equal(typeof client.of('11')[0]?.['FULLVOLUME'], 'string')
    assert.equal(typeof client.of('21')[0]?.['TOPTIERFULLVOLUME'], 'string')
  })

  test('sends trades with the fields that have been seen on the wire', async (t) => {
    const simulator = await simulate(t, { rate: 2_000 })
    const client = await Client.open(t, simulator)
    client.add(`0~${BTC}`, '0~Bitstamp~BTC~USD')
    await client.until('trades of both', () =>
      ['Coinbase', 'Bitstamp'].every((m) => client.trades(`${m}~BTC~USD`).length > 0),
    )
    const [trade = {}] = client.trades(BTC)
    assert.deepEqual(Object.keys(trade), [
      ...['TYPE', 'M', 'FSYM', 'TSYM', 'F', 'ID', 'TS', 'Q', 'P', 'TOTAL', 'RTS', 'CCSEQ', 'TSNS', 'RTSNS'],
    ])
    const strings = Object.entries(trade).filter(([, value]) => typeof value === 'string')
    assert.deepEqual(
      strings.map(([field]) => field),
      ['TYPE', 'M', 'FSYM', 'TSYM', 'F', 'ID'],
    )
    const [unsequenced = {}] = client.trades('Bitstamp~BTC~USD')
    assert.equal('CCSEQ' in unsequenced, false, 'CCSEQ is present on some markets only')
  })

  test('removes subscriptions by 17 and 18, and sends nothing of them after', async (t) => {
    const simulator = await simulate(t, { rate: 3_000 })
    const client = await Client.open(t, simulator)
    client.add(`0~${BTC}`, '0~Kraken~BTC~USD')
    await client.until('trades', () => client.trades(BTC).length > 0)
    client.remove(`0~${BTC}`, '2~Coinbase~ETH~USD')
    const end = await client.message('18')
    assert.deepEqual(end['INFO_OBJ'], { valid: 1, invalid: 1 })
    assert.equal(end['INFO'], 'Removed 1 subs.')
    assert.equal(client.of('17')[0]?.['SUB'], `0~${BTC}`)
    assert.equal(client.of('500')[0]?.['MESSAGE'], 'SUBSCRIPTION_UNRECOGNIZED')
    const before = client.trades(BTC).length
    const others = client.trades('Kraken~BTC~USD').length
    await client.until(
      'trades of the other market',
      () => client.trades('Kraken~BTC~USD').length > others + 20,
    )
    assert.equal(client.trades(BTC).length, before)
  })

  test('answers what is wrong by the errors of the documentation', async (t) => {
    const simulator = await simulate(t)
    const cases: [sent: unknown, message: string, parameter: string][] = [
      ['{"action":', 'INVALID_JSON', 'message'],
      [{ action: 'Subscribe', subs: ['5~CCCAGG~BTC~USD'] }, 'INVALID_PARAMETER', 'action'],
      [{ action: 'SubAdd' }, 'INVALID_PARAMETER', 'subs'],
      [{ action: 'SubAdd', subs: '5~CCCAGG~BTC~USD' }, 'INVALID_PARAMETER', 'subs'],
      [{ action: 'SubAdd', subs: [] }, 'INVALID_PARAMETER', 'subs'],
      [{ action: 'SubAdd', subs: [5] }, 'INVALID_PARAMETER', 'subs'],
      ['[]', 'INVALID_PARAMETER', 'message'],
      ...[
        '0~Coinbase~FOO~USD',
        '0~Nowhere~BTC~USD',
        '0~CCCAGG~BTC~USD',
        '5~Coinbase~BTC~USD',
        '24~Coinbase~BTC~USD~Y',
        '0~Coinbase~BTC~USD~m',
        '5~CCCAGG~*~*',
        '99~Coinbase~BTC~USD',
        '11~FOO',
        '11~BTC~USD',
        '0~Coinbase~BÄR~USD',
        '0',
        '',
      ].map((sub): [unknown, string, string] => [{ action: 'SubAdd', subs: [sub] }, 'INVALID_SUB', sub]),
    ]
    for (const [sent, message, parameter] of cases) {
      const client = await Client.open(t, simulator)
      client.send(sent)
      const answer = await client.message('500')
      assert.deepEqual([answer['MESSAGE'], answer['PARAMETER']], [message, parameter], JSON.stringify(sent))
      assert.equal(typeof answer['INFO'], 'string')
    }
    const client = await Client.open(t, simulator)
    client.add('5~CCCAGG~BTC~USD', '5~CCCAGG~BTC~USD')
    assert.equal((await client.message('500'))['MESSAGE'], 'SUBSCRIPTION_ALREADY_ACTIVE')
    client.websocket.send(Buffer.from('{}'), { binary: true })
    await client.until('INVALID_JSON', () =>
      client.of('500').some((error) => error['MESSAGE'] === 'INVALID_JSON'),
    )
  })

  test('takes at most 600 subscriptions a socket', async (t) => {
    const simulator = await simulate(t)
    const client = await Client.open(t, simulator)
    client.add(...Array.from({ length: 601 }, (_, i) => `0~Exchange${i}~BTC~USD`))
    const refusal = await client.message('429')
    assert.equal(refusal['MESSAGE'], 'TOO_MANY_SUBSCRIPTIONS_MAX_600_PER_SOCKET')
    assert.equal(refusal['PARAMETER'], '0~Exchange600~BTC~USD')
    assert.equal(client.of('500').length, 600)
  })

  test('sends heartbeats and answers pings', async (t) => {
    const simulator = await simulate(t, { heartbeatSeconds: 0.02 })
    const client = await Client.open(t, simulator)
    let pings = 0
    let pongs = 0
    client.websocket.on('ping', () => pings++)
    client.websocket.on('pong', () => pongs++)
    client.websocket.ping()
    await client.until('three heartbeats', () => client.of('999').length >= 3)
    const [beat] = client.of('999')
    assert.equal(beat?.['MESSAGE'], 'HEARTBEAT')
    assert.equal(typeof beat?.['TIMEMS'], 'number')
    assert.ok(pings > 0, 'the server pings')
    assert.ok(pongs > 0, 'the server answers a ping')
  })

  test('disconnects a client after two pongs that come over 10 s late', async (t) => {
    let ahead = 0
    const simulator = await simulate(t, { heartbeatSeconds: 0.02, now: () => Date.now() + ahead })
    const client = new Client(`${simulator.websocketUrl}?api_key=test`)
    t.after(() => client.websocket.terminate())
    // Each ping makes the clock jump, so that its pong comes late.
    client.websocket.on('ping', () => {
      ahead += 11_000
    })
    const error = await client.message('500')
    assert.equal(error['MESSAGE'], 'FORCE_DISCONNECT')
    await client.ended()
  })

  test('refuses other paths', async (t) => {
    const simulator = await simulate(t)
    const client = new Client(`ws://127.0.0.1:${simulator.port}/v1?api_key=test`)
    t.after(() => client.websocket.terminate())
    assert.equal(await client.ended(), 1006)
    assert.equal((await call(simulator, '/stats')).body['connections'], 0)
  })
})

test('a client that reads too slowly is cut off at 64 MiB', async (t) => {
  const http = createServer()
  const websockets = new WebSocketServer({ noServer: true })
  t.after(() => http.close())
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const slow = Promise.withResolvers<number>()
  http.on('upgrade', (request, socket, head) => {
    websockets.handleUpgrade(request, socket, head, (websocket) => {
      let enqueued = 0
      const connection = new Connection({
        websocket,
        socket,
        converse: () => ({ received() {} }),
        now: Date.now,
        heartbeatSeconds: 30,
        onSlow: () => slow.resolve(enqueued),
      })
      websocket.on('close', () => connection.release())
      const frame = textFrame('x'.repeat(1024 * 1024))
      const timer = setInterval(() => {
        connection.enqueue(frame)
        connection.flush()
        enqueued++
        if (websocket.readyState !== WebSocket.OPEN) clearInterval(timer)
      }, 1)
    })
  })
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
  client.on('open', () => client.pause())
  const enqueued = await slow.promise
  assert.ok(enqueued >= 63 && enqueued < 100, `cut after ${enqueued} MiB`)
  client.terminate()
})
