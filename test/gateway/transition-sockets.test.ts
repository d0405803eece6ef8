import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Transition } from '../../src/ports/actors.ts'
import { call } from './http.ts'
import { startPlatform } from './platform.ts'
import { openSocket, refusal } from './socket-client.ts'

const PATH = '/v1/actors/transitions'

const step = (event: string, ts: number): Transition => {
  return { ts, actor: 'producer', machine: 'producer', from: 'idle', event, to: 'fetchingData' }
}

describe('the WebSocket of transitions', () => {
  test('gives what was, then each further step once, with the counts of the edges', async (t) => {
    const { url, transitions } = await startPlatform(t)
    transitions.record(step('FETCH_DATA', 1))
    const sockets = await Promise.all([1, 2, 3].map(() => openSocket(t, url + PATH)))
    for (const { next } of sockets) {
      assert.deepEqual(await next(), {
        ...{ op: 'snapshot', instance: 'here', skipped: 0 },
        transitions: [step('FETCH_DATA', 1)],
        counts: { 'producer.idle.FETCH_DATA.fetchingData': 1 },
      })
    }
    transitions.record(step('FETCH_DATA', 2))
    transitions.record(step('FETCH_DATA', 3))
    for (const { next } of sockets) {
      assert.deepEqual(await next(), {
        ...{ op: 'transitions', instance: 'here', skipped: 0 },
        transitions: [step('FETCH_DATA', 2), step('FETCH_DATA', 3)],
        counts: { 'producer.idle.FETCH_DATA.fetchingData': 3 },
      })
    }
  })

  test('is for operators, and for nobody without a WebSocket', async (t) => {
    const keys = [
      { name: 'alice', key: 'alice-key' },
      { name: 'admin', key: 'admin-key' },
    ]
    const { url } = await startPlatform(t, { keys })
    assert.equal((await refusal(url + PATH)).status, 401)
    const afar = { headers: { 'x-forwarded-for': '203.0.113.7' } }
    assert.equal((await refusal(`${url}${PATH}?key=alice-key`, afar)).status, 403)
    const admin = await openSocket(t, `${url}${PATH}?key=admin-key`, afar)
    assert.equal((await admin.next())['op'], 'snapshot')
    const plain = await call(url + PATH, { headers: { 'x-api-key': 'admin-key' } })
    assert.equal(plain.status, 426)
    assert.equal(plain.json()['code'], 'UPGRADE_REQUIRED')
  })

  test('tells its watchers when the gateway closes', async (t) => {
    const { url, gateway } = await startPlatform(t)
    const { closed } = await openSocket(t, url + PATH)
    await gateway.close()
    assert.equal((await closed).code, 1001)
  })
})
