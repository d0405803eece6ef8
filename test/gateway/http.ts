import assert from 'node:assert/strict'
import { request } from 'node:http'
import { ERROR_KINDS, type ErrorCode } from '../../src/errors.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The body read as JSON. */
  json(): Record<string, unknown>
}

interface CallOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  readonly signal?: AbortSignal
}

/** A plain HTTP call that may set any header, `host` and `origin` included, unlike fetch. */
export function call(
  url: string,
  { method = 'GET', headers = {}, body, signal }: CallOptions = {},
): Promise<Answer> {
  const answered = Promise.withResolvers<Answer>()
  const { hostname, port, pathname, search } = new URL(url)
  const sent = request(
    { hostname, port, path: pathname + search, method, headers, agent: false, signal },
    (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', answered.reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        answered.resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => JSON.parse(text),
        })
      })
    },
  )
  sent.on('error', answered.reject)
  sent.end(body)
  return answered.promise
}

/** Posts JSON, or text as it is. */
export function post(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  method = 'POST',
): Promise<Answer> {
  const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  return call(url, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: text,
  })
}

/** Checks that an answer is a complete problem document of a code, and gives its offending fields. */
export function assertProblem(answer: Answer, code: ErrorCode, what = ''): Record<string, unknown>[] {
  const shown = `${what} ${answer.status} ${answer.text.slice(0, 500)}`
  assert.equal(answer.headers['content-type'], 'application/problem+json', shown)
  const problem = answer.json()
  assert.equal(problem['code'], code, shown)
  assert.equal(problem['status'], answer.status, shown)
  assert.equal(answer.status, ERROR_KINDS[code].status, shown)
  assert.equal(problem['type'], `/docs/errors#${code}`, shown)
  assert.equal(problem['title'], ERROR_KINDS[code].meaning, shown)
  for (const member of ['detail', 'remedy'])
    assert.ok(String(problem[member] ?? '').length > 5, `${member}: ${shown}`)
  assert.ok(!/ at .*\.ts:\d+|node_modules/.test(answer.text), `a stack: ${shown}`)
  return (problem['errors'] ?? []) as Record<string, unknown>[]
}
