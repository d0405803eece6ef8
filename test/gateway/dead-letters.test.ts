import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DeadLetterContent } from '../../src/ports/dead-letters.ts'
import { assertProblem, call, post } from './http.ts'
import { startPlatform } from './platform.ts'

const ID = 'market.trades:2:48151'
const LETTER: DeadLetterContent = {
  ...{ id: ID, topic: 'market.trades', partition: 2, offset: 48151, code: 'EVENT_INVALID', reason: 'price' },
  ...{ publishedAt: '2026-01-01T00:00:00.000Z', refusedAt: '2026-01-01T00:00:01.000Z', size: 4 },
  ...{ replayedAt: null, key: null, version: 1, fields: [], encoding: 'utf8', value: 'null', complete: true },
}

describe('GET /v1/dead-letters', () => {
  test('lists with filters and pages, times in milliseconds for the port', async (t) => {
    const { url, deadLetters } = await startPlatform(t)
    deadLetters.letters.push(LETTER)
    const answer = await call(
      `${url}/v1/dead-letters?topic=market.trades&code=EVENT_INVALID&since=2026-01-01T00:00:00Z&state=open&limit=5&before=9`,
    )
    assert.deepEqual([answer.status, answer.json()], [200, { deadLetters: [LETTER], total: 1, next: 7 }])
    await call(`${url}/v1/dead-letters`)
    const none = { topic: undefined, code: undefined, since: undefined, state: undefined }
    assert.deepEqual(
      deadLetters.asked.map((asked) => JSON.stringify(asked)),
      [
        [
          {
            topic: 'market.trades',
            code: 'EVENT_INVALID',
            since: Date.parse('2026-01-01T00:00:00Z'),
            state: 'open',
          },
          { limit: 5, before: 9 },
        ],
        [none, { limit: 100 }],
      ].map((asked) => JSON.stringify(asked)),
    )
  })

  test('refuses what it does not know, by name', async (t) => {
    const { url } = await startPlatform(t)
    for (const [query, field] of [
      ['limit=0', 'limit'],
      ['limit=1001', 'limit'],
      ['since=yesterday', 'since'],
      ['code=not+a+code', 'code'],
      ['state=lost', 'state'],
      ['before=-1', 'before'],
      ['sort=up', 'sort'],
    ]) {
      const [error] = assertProblem(await call(`${url}/v1/dead-letters?${query}`), 'INPUT_INVALID', query)
      assert.equal(error?.['field'], field)
    }
  })
})

describe('GET /v1/dead-letters/{id}', () => {
  test('gives what the record held; one that nobody knows is 404, what is no id 400', async (t) => {
    const { url, deadLetters } = await startPlatform(t)
    deadLetters.letters.push(LETTER)
    assert.deepEqual((await call(`${url}/v1/dead-letters/${ID}`)).json(), { ...LETTER })
    assert.deepEqual((await call(`${url}/v1/dead-letters/${encodeURIComponent(ID)}`)).json(), { ...LETTER })
    assertProblem(await call(`${url}/v1/dead-letters/market.trades:2:1`), 'DEAD_LETTER_UNKNOWN')
    for (const id of ['7', 'market.trades', 'market.trades:x:1', 'replay'])
      assertProblem(await call(`${url}/v1/dead-letters/${id}`), 'INPUT_INVALID', id)
  })
})

describe('POST /v1/dead-letters/replay', () => {
  test('replays ids, or all that were never replayed and fit', async (t) => {
    const { url, deadLetters } = await startPlatform(t)
    const given = await post(`${url}/v1/dead-letters/replay`, { ids: [ID] })
    assert.deepEqual(
      [given.status, given.json()],
      [200, { results: [{ id: ID, outcome: 'replayed' }], next: null }],
    )
    const all = await post(`${url}/v1/dead-letters/replay`, {
      all: true,
      code: 'EVENT_INVALID',
      limit: 7,
      from: 3,
    })
    assert.deepEqual([all.status, all.json()], [200, { results: [], next: null }])
    assert.deepEqual(JSON.parse(JSON.stringify(deadLetters.asked)), [
      [ID],
      [
        { code: 'EVENT_INVALID', state: 'open' },
        { limit: 7, from: 3 },
      ],
    ])
  })

  test('refuses bodies that say neither, both, or too much', async (t) => {
    const { url, deadLetters } = await startPlatform(t)
    for (const [body, field] of [
      [{}, 'ids'],
      [{ ids: [] }, 'ids'],
      [{ ids: ['7'] }, 'ids.0'],
      [{ ids: Array(501).fill(ID) }, 'ids'],
      [{ ids: [ID], all: true }, 'all'],
      [{ ids: [ID], code: 'EVENT_INVALID' }, 'code'],
      [{ all: false }, 'all'],
      [{ all: true, since: 'x' }, 'since'],
      [{ all: true, force: true }, 'force'],
      [{ code: 'EVENT_INVALID' }, 'ids'],
    ] as const) {
      const answer = await post(`${url}/v1/dead-letters/replay`, body)
      const [error] = assertProblem(answer, 'INPUT_INVALID', JSON.stringify(body).slice(0, 100))
      assert.equal(error?.['field'], field)
    }
    assert.deepEqual(deadLetters.asked, [])
  })
})

test('all of it is for this machine or the admin', async (t) => {
  const keys = [
    { name: 'alice', key: 'alice-key' },
    { name: 'admin', key: 'admin-key' },
  ]
  const { url, deadLetters } = await startPlatform(t, { keys })
  deadLetters.letters.push(LETTER)
  const routes = [
    ['GET', '/v1/dead-letters', ''],
    ['GET', `/v1/dead-letters/${ID}`, ''],
    ['POST', '/v1/dead-letters/replay', JSON.stringify({ ids: [ID] })],
  ] as const
  for (const [method, path, body] of routes) {
    const asks = (headers: Record<string, string>) =>
      call(url + path, { method, body, headers: { 'content-type': 'application/json', ...headers } })
    const proxied = { 'x-forwarded-for': '10.0.0.9' }
    assertProblem(await asks({}), 'UNAUTHORIZED', path)
    assertProblem(await asks({ authorization: 'Bearer alice-key', ...proxied }), 'FORBIDDEN', path)
    assert.equal((await asks({ authorization: 'Bearer admin-key', ...proxied })).status, 200, path)
    assert.equal((await asks({ authorization: 'Bearer alice-key' })).status, 200, `${path} from this machine`)
  }
})
