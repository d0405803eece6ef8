import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ERROR_KINDS } from '../../src/errors.ts'
import { call } from './http.ts'
import { startPlatform } from './platform.ts'

type Json = Readonly<Record<string, unknown>>
interface Operation extends Json {
  readonly operationId: string
  readonly parameters?: readonly { name: string; in: string; description?: string; schema: Json }[]
  readonly requestBody?: { readonly content: Json }
  readonly responses: Readonly<Record<string, { description: string; content?: Json }>>
}

/** Every route of the API, by path. */
const ROUTES = [
  ['/healthz', ['get']],
  ['/metrics', ['get']],
  ['/readyz', ['get']],
  ['/udf/config', ['get']],
  ['/udf/history', ['get']],
  ['/udf/search', ['get']],
  ['/udf/symbols', ['get']],
  ['/udf/time', ['get']],
  ['/v1/actors', ['get']],
  ['/v1/actors/transitions', ['get']],
  ['/v1/actors/{id}/reset', ['post']],
  ['/v1/alerts', ['get']],
  ['/v1/backfill', ['post']],
  ['/v1/books/{exchange}/{symbol}', ['get']],
  ['/v1/books/{exchange}/{symbol}/stored', ['get']],
  ['/v1/candles', ['get']],
  ['/v1/dead-letters', ['get']],
  ['/v1/dead-letters/replay', ['post']],
  ['/v1/dead-letters/{id}', ['get']],
  ['/v1/gaps', ['get']],
  ['/v1/keys', ['get', 'post']],
  ['/v1/keys/{id}', ['delete']],
  ['/v1/markets', ['get']],
  ['/v1/quotes', ['get']],
  ['/v1/sql', ['post']],
  ['/v1/streams', ['get', 'post']],
  ['/v1/streams/preview', ['post']],
  ['/v1/streams/{id}', ['delete', 'get', 'patch']],
  ['/v1/streams/{id}/events', ['get']],
  ['/v1/topics', ['get']],
  ['/v1/topics/{name}', ['delete']],
  ['/v1/topics/{name}/records', ['get']],
  ['/v1/trades', ['get']],
  ['/v1/webhooks', ['get', 'post']],
  ['/v1/webhooks/{id}', ['delete', 'get']],
  ['/v1/webhooks/{id}/pause', ['post']],
  ['/v1/webhooks/{id}/resume', ['post']],
  ['/v1/ws', ['get']],
] as const

/** Addresses that a browser would ask by itself: sources, styles, imports, and hosts without a scheme. */
const OUTSIDE =
  /(?:src|href|action)\s*=\s*["']?(?:https?:)?\/\/|url\(\s*["']?(?:https?:)?\/\/|@import|https?:\/\//i

function everyRef(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => (key === '$ref' ? [String(inner)] : everyRef(inner)))
}

describe('/docs', () => {
  test('/docs/json is OpenAPI 3.1 with every route, its parameters, bodies and problems', async (t) => {
    const { url } = await startPlatform(t)
    const answer = await call(`${url}/docs/json`)
    assert.match(String(answer.headers['content-type']), /^application\/json/)
    const document = answer.json() as Json & {
      openapi: string
      info: Json
      paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
      components: { schemas: Json; securitySchemes: Json }
    }
    assert.equal(document.openapi, '3.1.0')
    assert.equal(document.info['version'], '1.2.3<b>')
    assert.deepEqual(
      Object.entries(document.paths)
        .map(([path, item]) => [path, Object.keys(item).sort()])
        .sort(),
      ROUTES,
    )

    const operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.values(item).map((operation) => ({ path, operation })),
    )
    const ids = operations.map(({ operation }) => operation.operationId)
    assert.equal(new Set(ids).size, ids.length, ids.join(' '))
    for (const { path, operation } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const declared = (operation.parameters ?? [])
        .filter((each) => each.in === 'path')
        .map(({ name }) => name)
      assert.deepEqual(declared, inPath, path)
      for (const { name, description, schema } of operation.parameters ?? []) {
        assert.ok(description, `${path}: ${name} is not described`)
        assert.ok(schema['type'] ?? schema['enum'], `${path}: ${name} has no type`)
      }
      for (const [status, response] of Object.entries(operation.responses)) {
        assert.ok(response.description, `${path} ${status}`)
        if (Number(status) < 400 || path === '/readyz') continue
        assert.deepEqual(
          response.content,
          { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
          `${path} ${status}`,
        )
      }
      assert.ok(operation.responses['500'], `${path} does not say that it may fail`)
    }
    assert.deepEqual(Object.keys(document.paths['/v1/streams']?.['post']?.responses ?? {}).sort(), [
      '201',
      '400',
      '401',
      '403',
      '413',
      '415',
      '429',
      '500',
      '503',
    ])
    const body = document.paths['/v1/streams']?.['post']?.requestBody?.content['application/json'] as {
      schema: { properties: Json; required: string[] }
    }
    assert.deepEqual(Object.keys(body.schema.properties), [
      'channel',
      'symbols',
      'exchanges',
      'where',
      'fields',
      'every',
      'interval',
      'lateness',
      'empty',
      'depth',
      'from',
      'ttl',
    ])
    assert.deepEqual(body.schema.required, ['channel', 'symbols'])

    const used = new Set(everyRef(document))
    for (const name of Object.keys(document.components.schemas)) {
      assert.ok(used.has(`#/components/schemas/${name}`), `${name} is described and not used`)
    }
    for (const ref of used) {
      const name = /^#\/components\/schemas\/(\w+)$/.exec(ref)?.[1]
      assert.ok(name !== undefined && name in document.components.schemas, `${ref} leads nowhere`)
    }
  })

  test('the page and its script come from this server alone', async (t) => {
    const { url } = await startPlatform(t)
    const moved = await call(`${url}/docs`)
    assert.deepEqual([moved.status, moved.headers['location']], [301, '/docs/'])
    const page = await call(`${url}/docs/`)
    assert.equal(page.status, 200)
    assert.ok(!OUTSIDE.test(page.text), page.text)
    assert.match(page.text, /"withDefaultFonts": false/)
    assert.match(page.text, /"telemetry": false/)
    for (const advertisement of [
      /"showDeveloperTools": "never"/,
      /"hideClientButton": true/,
      /"_integration": null/,
    ])
      assert.match(page.text, advertisement, 'the page sells nothing')
    const scripts = [...page.text.matchAll(/<script[^>]*src="([^"]+)"/g)].map(([, source]) => source)
    assert.deepEqual(scripts, ['js/scalar.js'])
    const script = await call(`${url}/docs/js/scalar.js`)
    assert.ok(script.text.length > 1_000_000)
    for (const each of [page, script]) {
      const policy = String(each.headers['content-security-policy'])
      assert.match(policy, /default-src 'self' data: blob:/)
      assert.ok(!/https?:|\*/.test(policy), policy)
    }
  })

  test('/docs/errors explains every code at its anchor', async (t) => {
    const { url } = await startPlatform(t)
    const page = await call(`${url}/docs/errors`)
    assert.match(String(page.headers['content-type']), /^text\/html/)
    for (const code of Object.keys(ERROR_KINDS)) assert.ok(page.text.includes(`<h2 id="${code}">`), code)
    assert.ok(!OUTSIDE.test(page.text))
  })
})
