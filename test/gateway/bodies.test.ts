import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { ErrorCode } from '../../src/errors.ts'
import { assertProblem, call, post } from './http.ts'
import { startPlatform } from './platform.ts'
import { openSocket } from './socket-client.ts'

interface BadBody {
  readonly what: string
  readonly body: unknown
  readonly code: ErrorCode
  /** The field that the problem must name. */
  readonly field: string
  readonly type?: string
}

const good = { channel: 'trade', symbols: ['BTC-*'] }

const BAD_BODIES: readonly BadBody[] = [
  { what: 'nothing', body: '', code: 'INPUT_INVALID', field: '(body)' },
  { what: 'spaces', body: '  \n ', code: 'BODY_NOT_JSON', field: '(body)' },
  { what: 'no JSON', body: 'trade', code: 'BODY_NOT_JSON', field: '(body)' },
  { what: 'cut JSON', body: '{"channel":"trade"', code: 'BODY_NOT_JSON', field: '(body)' },
  { what: 'a trailing comma', body: '{"channel":"trade",}', code: 'BODY_NOT_JSON', field: '(body)' },
  {
    what: 'NaN',
    body: '{"channel":"trade","symbols":["*"],"ttl":NaN}',
    code: 'BODY_NOT_JSON',
    field: '(body)',
  },
  {
    what: 'invalid UTF-8',
    body: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
    code: 'BODY_NOT_JSON',
    field: '(body)',
  },
  { what: 'compressed', body: gzipSync(JSON.stringify(good)), code: 'BODY_NOT_JSON', field: '(body)' },
  { what: 'null', body: 'null', code: 'INPUT_INVALID', field: '(body)' },
  { what: 'a number', body: '7', code: 'INPUT_INVALID', field: '(body)' },
  { what: 'an array', body: [good], code: 'INPUT_INVALID', field: '(body)' },
  { what: 'an empty object', body: {}, code: 'INPUT_INVALID', field: 'channel' },
  { what: 'no channel', body: { symbols: ['*'] }, code: 'INPUT_INVALID', field: 'channel' },
  {
    what: 'an unknown channel',
    body: { ...good, channel: 'trades' },
    code: 'INPUT_INVALID',
    field: 'channel',
  },
  {
    what: 'a channel of a wrong kind',
    body: { ...good, channel: ['trade'] },
    code: 'INPUT_INVALID',
    field: 'channel',
  },
  { what: 'no symbols', body: { channel: 'trade' }, code: 'INPUT_INVALID', field: 'symbols' },
  {
    what: 'an empty list of symbols',
    body: { ...good, symbols: [] },
    code: 'INPUT_INVALID',
    field: 'symbols',
  },
  { what: 'symbols as text', body: { ...good, symbols: 'BTC-USD' }, code: 'INPUT_INVALID', field: 'symbols' },
  {
    what: 'symbols as an object',
    body: { ...good, symbols: { 0: '*' } },
    code: 'INPUT_INVALID',
    field: 'symbols',
  },
  {
    what: 'a symbol of a wrong kind',
    body: { ...good, symbols: ['*', 5] },
    code: 'INPUT_INVALID',
    field: 'symbols.1',
  },
  { what: 'an empty symbol', body: { ...good, symbols: [''] }, code: 'INPUT_INVALID', field: 'symbols.0' },
  {
    what: 'a hostile symbol',
    body: { ...good, symbols: ["x' or 1=1"] },
    code: 'INPUT_INVALID',
    field: 'symbols.0',
  },
  {
    what: 'a huge symbol',
    body: { ...good, symbols: ['X'.repeat(60_000)] },
    code: 'INPUT_INVALID',
    field: 'symbols.0',
  },
  {
    what: '501 symbols',
    body: { ...good, symbols: Array(501).fill('BTC-USD') },
    code: 'INPUT_INVALID',
    field: 'symbols',
  },
  {
    what: 'exchanges as text',
    body: { ...good, exchanges: 'kraken' },
    code: 'INPUT_INVALID',
    field: 'exchanges',
  },
  {
    what: 'a bad exchange',
    body: { ...good, exchanges: ['*'] },
    code: 'INPUT_INVALID',
    field: 'exchanges.0',
  },
  { what: 'exchanges null', body: { ...good, exchanges: null }, code: 'INPUT_INVALID', field: 'exchanges' },
  { what: 'a ttl without sense', body: { ...good, ttl: 'soon' }, code: 'INPUT_INVALID', field: 'ttl' },
  { what: 'a ttl too short', body: { ...good, ttl: 1 }, code: 'INPUT_INVALID', field: 'ttl' },
  { what: 'a negative ttl', body: { ...good, ttl: -5 }, code: 'INPUT_INVALID', field: 'ttl' },
  {
    what: 'an endless ttl',
    body: '{"channel":"trade","symbols":["*"],"ttl":1e999}',
    code: 'INPUT_INVALID',
    field: 'ttl',
  },
  { what: 'a ttl of a wrong kind', body: { ...good, ttl: true }, code: 'INPUT_INVALID', field: 'ttl' },
  { what: 'an unknown field', body: { ...good, symbol: 'BTC-USD' }, code: 'INPUT_INVALID', field: 'symbol' },
  {
    what: 'a field of a later version',
    body: { ...good, colour: 'blue' },
    code: 'INPUT_INVALID',
    field: 'colour',
  },
  {
    what: 'a filter with a mistake',
    body: { ...good, where: 'size > "1"' },
    code: 'INPUT_INVALID',
    field: 'where',
  },
  {
    what: 'a filter of 1 MB',
    body: { ...good, where: `size > ${'1'.repeat(1_000_000)}` },
    code: 'BODY_TOO_LARGE',
    field: '(body)',
  },
  {
    what: 'a field that the channel does not have',
    body: { ...good, fields: ['price', '__proto__'] },
    code: 'INPUT_INVALID',
    field: 'fields.1',
  },
  {
    what: 'constructor',
    body: '{"channel":"trade","symbols":["*"],"constructor":{"prototype":{"x":1}}}',
    code: 'INPUT_INVALID',
    field: 'constructor',
  },
  {
    what: '__proto__',
    body: '{"channel":"trade","symbols":["*"],"__proto__":{"ttl":60}}',
    code: 'INPUT_INVALID',
    field: '__proto__',
  },
  {
    what: '__proto__ within',
    body: '{"channel":"trade","symbols":[{"__proto__":1}]}',
    code: 'INPUT_INVALID',
    field: 'symbols.0.__proto__',
  },
  {
    what: 'a key twice',
    body: '{"channel":"trade","symbols":["*"],"channel":"quote"}',
    code: 'INPUT_INVALID',
    field: 'channel',
  },
  {
    what: 'a key twice, escaped',
    body: '{"channel":"trade","symbols":["*"],"ch\\u0061nnel":"quote"}',
    code: 'INPUT_INVALID',
    field: 'channel',
  },
  {
    what: 'a key twice within',
    body: '{"symbols":["*",{"a":1,"b":[{}],"a":2}]}',
    code: 'INPUT_INVALID',
    field: 'symbols.1.a',
  },
  {
    what: 'deep nesting',
    body: `{"symbols":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
    code: 'INPUT_INVALID',
    field: `symbols${'.0'.repeat(15)}`,
  },
  {
    what: 'more than 64 KiB',
    body: `{"channel":"${'x'.repeat(65_536)}"}`,
    code: 'BODY_TOO_LARGE',
    field: '(body)',
  },
  {
    what: 'a form',
    body: 'channel=trade',
    type: 'application/x-www-form-urlencoded',
    code: 'MEDIA_TYPE_UNSUPPORTED',
    field: 'content-type',
  },
  {
    what: 'plain text',
    body: JSON.stringify(good),
    type: 'text/plain',
    code: 'MEDIA_TYPE_UNSUPPORTED',
    field: 'content-type',
  },
  {
    what: 'a content type without sense',
    body: JSON.stringify(good),
    type: ';;',
    code: 'MEDIA_TYPE_UNSUPPORTED',
    field: 'content-type',
  },
]

describe('POST /v1/streams refuses with code, field and remedy', () => {
  for (const { what, body, code, field, type = 'application/json' } of BAD_BODIES) {
    test(what, async (t) => {
      const { url, desk } = await startPlatform(t)
      const answer = await post(`${url}/v1/streams`, body, { 'content-type': type })
      const errors = assertProblem(answer, code, what)
      const entry = errors.find((each) => each['field'] === field)
      assert.ok(entry, `${what}: no entry for ${field} in ${answer.text.slice(0, 1000)}`)
      for (const member of ['message', 'remedy']) {
        assert.ok(String(entry[member] ?? '').length > 5, `${what}: ${member} of ${JSON.stringify(entry)}`)
      }
      assert.ok('value' in entry, `${what}: no value`)
      assert.ok(answer.text.length < 16_000, `${what}: an answer of ${answer.text.length} characters`)
      assert.equal(desk.leases.size, 0, `${what}: made a stream`)
    })
  }

  test('a filter of every kind that is none, with code and position, by POST, PATCH, preview and WebSocket', async (t) => {
    const { url, desk } = await startPlatform(t)
    desk.add('s1', 'local')
    const socket = await openSocket(t, `${url}/v1/ws`)
    const filters: readonly [string, string][] = [
      ['matches', 'id.matches("(a+)+$")'],
      ['another field', 'size > 1 && bid > 2'],
      ['another type', 'size > "1"'],
      ['no bool', 'size + 1'],
      ['deep', `${'('.repeat(200)}true${')'.repeat(200)}`],
      ['many nodes', `${'!'.repeat(900)}true`],
      ['a long list', `size in [${'1,'.repeat(40)}1]`],
      ['nested macros', '[1].all(a, [2].all(b, a == b))'],
      ['long', `size > ${'1'.repeat(1_100)}`],
      ['half', 'size >='],
      ...['constructor', '__proto__', 'prototype', 'hasOwnProperty', 'valueOf'].map(
        (name): [string, string] => [name, `${name} == 1`],
      ),
      ['a member', 'price.constructor == 1'],
    ]
    for (const [what, where] of filters) {
      const answers = [
        await post(`${url}/v1/streams`, { ...good, where }),
        await post(`${url}/v1/streams/s1`, { where }, {}, 'PATCH'),
      ]
      socket.send({ op: 'subscribe', spec: { ...good, where } })
      const { code, errors: told } = await socket.next()
      assert.equal(code, 'INPUT_INVALID', what)
      const preview = (await post(`${url}/v1/streams/preview`, { ...good, where })).json()['errors']
      const refused = answers.map((answer) => assertProblem(answer, 'INPUT_INVALID', what))
      const found = [...refused, told as object[], preview as object[]]
      for (const errors of found) {
        const [{ field, position } = assert.fail()] = errors as { field?: string; position?: number }[]
        assert.match(String(field), /^(spec\.)?where$/, what)
        assert.ok(Number.isSafeInteger(position) && (position ?? 0) > 0, `${what}: position ${position}`)
      }
    }
    assert.equal(desk.leases.size, 1)
  })

  test('many offending fields: the first 20 are named, and how many more there are', async (t) => {
    const { url } = await startPlatform(t)
    const answer = await post(`${url}/v1/streams`, { channel: 'trade', symbols: Array(400).fill('§') })
    assert.equal(assertProblem(answer, 'INPUT_INVALID').length, 20)
    assert.match(String(answer.json()['detail']), /380 more/)
  })

  test('a compressed body, or one that says so', async (t) => {
    const { url } = await startPlatform(t)
    const type = { 'content-type': 'application/json' }
    for (const encoding of ['gzip', 'br', 'nonsense', 'gzip, identity']) {
      const answer = await post(`${url}/v1/streams`, good, { ...type, 'content-encoding': encoding })
      const [entry] = assertProblem(answer, 'MEDIA_TYPE_UNSUPPORTED', encoding)
      assert.deepEqual([entry?.['field'], entry?.['value']], ['content-encoding', encoding])
    }
    const plain = await post(`${url}/v1/streams`, good, { ...type, 'content-encoding': 'Identity' })
    assert.equal(plain.status, 201)
  })

  test('no content type at all', async (t) => {
    const { url } = await startPlatform(t)
    const answer = await call(`${url}/v1/streams`, { method: 'POST', body: JSON.stringify(good) })
    assertProblem(answer, 'MEDIA_TYPE_UNSUPPORTED')
  })

  test('nothing polluted: a good body is still taken', async (t) => {
    const { url } = await startPlatform(t)
    for (const { body } of BAD_BODIES) await post(`${url}/v1/streams`, body)
    assert.equal(({} as Record<string, unknown>)['ttl'], undefined)
    const answer = await post(`${url}/v1/streams`, good, {
      'content-type': 'application/json; charset=utf-8',
    })
    assert.equal(answer.status, 201)
  })
})
