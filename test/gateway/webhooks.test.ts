import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodeCursor, encodeCursor } from '../../src/domain/cursor.ts'
import { TapelineError } from '../../src/errors.ts'
import { NAMES } from '../names.ts'
import { assertProblem, call, post } from './http.ts'
import { startPlatform } from './platform.ts'

const HOOK = 'https://example.com/hook'
const SPEC = { channel: 'trade', symbols: ['btc-*'], ttl: '90s' }

describe('/v1/webhooks', () => {
  test('POST with a spec makes a stream and a webhook on it, and shows the secret this one time', async (t) => {
    const { url, desk, broker, webhooks } = await startPlatform(t)
    desk.onRequest = async ({ leaseId }) => broker.add(`app.${leaseId}`, [], { earliest: 7 })
    const answer = await post(`${url}/v1/webhooks`, {
      url: HOOK,
      spec: SPEC,
      maxEvents: 50,
      maxWait: '250ms',
    })
    assert.equal(answer.status, 201)
    const { id, stream, secret, ...rest } = answer.json()
    assert.equal(answer.headers['location'], `/v1/webhooks/${id}`)
    assert.equal(secret, 'whsec_c2VjcmV0')
    assert.deepEqual(rest, {
      ...{ app: 'local', url: HOOK, maxEvents: 50, maxWait: 0.25, state: 'active' },
      ...{ failure: null, deliveredAt: null, createdAt: '2026-02-03T04:05:06.000Z' },
    })
    assert.deepEqual(desk.get(String(stream))?.spec.symbols, ['BTC-*'])
    const cursor = decodeCursor(webhooks.asked[0]?.cursor ?? '', NAMES.fixed.trade)
    assert.deepEqual([cursor.lease, cursor.topics[0]?.offset], [stream, 7], 'what comes next')
    const shown = await call(`${url}/v1/webhooks/${id}`)
    assert.deepEqual(shown.json(), { id, stream, ...rest })
    assert.deepEqual((await call(`${url}/v1/webhooks`)).json(), { webhooks: [shown.json()] })
  })

  test('POST with a stream reads it from a cursor, or from what comes next', async (t) => {
    const { url, desk, broker, webhooks } = await startPlatform(t)
    const { id: stream, topicId } = desk.add('s1', 'local')
    broker.add('app.s1', [], { earliest: 3 })
    const at = (lease: string) => encodeCursor({ lease, topics: [{ topicId, offset: 1, memory: undefined }] })
    assert.equal((await post(`${url}/v1/webhooks`, { url: HOOK, stream, cursor: at('s1') })).status, 201)
    assert.equal((await post(`${url}/v1/webhooks`, { url: HOOK, stream })).status, 201)
    assert.deepEqual(
      webhooks.asked.map(({ cursor }) => decodeCursor(cursor, NAMES.fixed.trade).topics[0]?.offset),
      [1, 3],
    )
    assertProblem(
      await post(`${url}/v1/webhooks`, { url: HOOK, stream, cursor: at('other') }),
      'CURSOR_INVALID',
    )
    assertProblem(await post(`${url}/v1/webhooks`, { url: HOOK, stream, cursor: 'x' }), 'CURSOR_INVALID')
    assertProblem(await post(`${url}/v1/webhooks`, { url: HOOK, stream: 'none' }), 'STREAM_UNKNOWN')
  })

  test('what is not acceptable is refused by name, before a stream is made', async (t) => {
    const { url, desk } = await startPlatform(t)
    const bad: [string, object][] = [
      ['url', { url: 'example.com' }],
      ['url', { url: 'ftp://example.com' }],
      ['url', { url: 'https://user:word@example.com' }],
      ['url', { url: `https://example.com/${'x'.repeat(2_000)}` }],
      ['maxEvents', { maxEvents: 0 }],
      ['maxEvents', { maxEvents: 1_001 }],
      ['maxWait', { maxWait: '61s' }],
      ['maxWait', { maxWait: 'soon' }],
      ['secret', { secret: 'mine' }],
      ['stream', { spec: undefined }],
      ['stream', { stream: 's1' }],
      ['stream', { cursor: 'x' }],
      ['symbols', { spec: { channel: 'trade' } }],
    ]
    for (const [field, change] of bad) {
      const answer = await post(`${url}/v1/webhooks`, { url: HOOK, spec: SPEC, ...change })
      const errors = assertProblem(answer, 'INPUT_INVALID')
      assert.ok(
        errors.some((each) => each['field'] === field),
        `${field}: ${JSON.stringify(errors)}`,
      )
    }
    assertProblem(
      await post(`${url}/v1/webhooks`, { url: 'http://inside/', spec: SPEC }),
      'WEBHOOK_ADDRESS_REFUSED',
    )
    assert.equal(desk.leases.size, 0)
  })

  test('one that is refused leaves no stream behind, and ends none that was there', async (t) => {
    const { url, desk, broker, webhooks } = await startPlatform(t)
    desk.onRequest = async ({ leaseId }) => broker.add(`app.${leaseId}`, [])
    webhooks.create = async () => {
      throw new TapelineError('WEBHOOK_LIMIT', 'there are as many as there may be')
    }
    assertProblem(await post(`${url}/v1/webhooks`, { url: HOOK, spec: SPEC }), 'WEBHOOK_LIMIT')
    assert.equal(desk.leases.size, 0)
    desk.add('s1', 'local')
    broker.add('app.s1', [])
    assertProblem(await post(`${url}/v1/webhooks`, { url: HOOK, stream: 's1' }), 'WEBHOOK_LIMIT')
    assert.deepEqual([...desk.leases.keys()], ['s1'])
  })

  test('pause, resume and DELETE; another application hears of nothing', async (t) => {
    const keys = ['alice', 'bob', 'admin'].map((name) => ({ name, key: name }))
    const { url, desk, broker } = await startPlatform(t, { keys })
    const as = (name: string) => ({ authorization: `Bearer ${name}` })
    desk.add('s1', 'alice')
    broker.add('app.s1', [])
    assertProblem(await post(`${url}/v1/webhooks`, { url: HOOK, stream: 's1' }, as('bob')), 'STREAM_UNKNOWN')
    const made = await post(`${url}/v1/webhooks`, { url: HOOK, stream: 's1' }, as('alice'))
    const address = `${url}/v1/webhooks/${made.json()['id']}`
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/pause'],
      ['POST', '/resume'],
      ['DELETE', ''],
    ] as const)
      assertProblem(await call(`${address}${path}`, { method, headers: as('bob') }), 'WEBHOOK_UNKNOWN')
    assert.deepEqual((await call(`${url}/v1/webhooks`, { headers: as('bob') })).json(), { webhooks: [] })
    const pause = await call(`${address}/pause`, { method: 'POST', headers: as('alice') })
    assert.equal(pause.json()['state'], 'paused')
    const resume = await call(`${address}/resume`, { method: 'POST', headers: as('admin') })
    assert.equal(resume.json()['state'], 'active')
    assert.equal((await call(address, { method: 'DELETE', headers: as('admin') })).status, 204)
    assertProblem(await call(address, { headers: as('alice') }), 'WEBHOOK_UNKNOWN')
  })

  test('no raw record shows a secret', async (t) => {
    const { url, broker } = await startPlatform(t)
    const headers = { v: 1, kind: 'control' } as const
    const value = Buffer.from('{"kind":"webhook","secret":"whsec_c2Vj+/0=","url":"https://x"}')
    broker.add('tapeline.registry', [{ offset: 0, timestamp: 0, key: 'webhook:1', value, headers }])
    const { text } = await call(`${url}/v1/topics/tapeline.registry/records`)
    assert.doesNotMatch(text, /c2Vj/)
    assert.match(text, /https:\/\/x/)
  })
})
