import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify, stripVTControlCharacters } from 'node:util'
import { TapelineError } from '../../src/errors.ts'
import { createLog, type LogLevel } from '../../src/telemetry/log.ts'

function capture(level: LogLevel, pretty = false) {
  const lines: string[] = []
  const log = createLog({ level, pretty, sink: { write: (line) => lines.push(line) } })
  return { log, lines, entries: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

describe('createLog', () => {
  test('writes level, time, fields and message as one JSON line', () => {
    const { log, lines, entries } = capture('info')
    log.info({ topic: 'market.trades', rows: 3 }, 'stored')
    assert.equal(lines.length, 1)
    assert.ok(lines[0]?.endsWith('}\n'))
    const { time, ...rest } = entries()[0] ?? {}
    assert.deepEqual(rest, { level: 'info', topic: 'market.trades', rows: 3, msg: 'stored' })
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  test('writes nothing below its level', () => {
    const { log, lines } = capture('warn')
    log.debug({}, 'no')
    log.info({}, 'no')
    log.warn({}, 'yes')
    log.error({}, 'yes')
    assert.equal(lines.length, 2)
  })

  test('replaces secret fields at any depth and in any spelling', () => {
    const { log, lines } = capture('info')
    const secret = 'geheim-4711'
    log.info(
      {
        key: secret,
        source: { apiKey: secret, 'api-key': secret, deep: [{ headers: { Authorization: secret } }] },
        'x-api-key': secret,
        password: secret,
      },
      'configured',
    )
    log.child({ key: secret, part: 'gateway' }).info({}, 'started')
    assert.ok(!lines.join('').includes(secret), lines.join(''))
    assert.match(lines[1] ?? '', /"part":"gateway"/)
  })

  test('replaces keys inside addresses and headers, in messages, fields and stacks', () => {
    const { log, lines } = capture('info')
    const secret = 'geheim-4711'
    log.info(
      { url: `wss://host/v2?api_key=${secret}&format=json` },
      `connecting to wss://host/v2?key=${secret}`,
    )
    log.error({ err: new Error(`GET https://host/?api_key=${secret} failed`) }, 'request failed')
    log.warn({ sent: `authorization: Bearer ${secret}` }, `sent Apikey ${secret}`)
    log.warn(
      { url: `postgres://tape:${secret}@db:5432/x` },
      `no answer from postgres://tape:p@${secret}@db/x`,
    )
    log.warn({ conninfo: `host=db password=${secret} user=tape` }, 'conninfo')
    log.warn({ storePassword: secret, sasl: { username: 'u', password: secret } }, 'settings')
    assert.ok(!lines.join('').includes(secret), lines.join(''))
    assert.match(lines[0] ?? '', /&format=json/)
  })

  test('shows errors with code, message, stack and cause under any field name', () => {
    const { log, entries } = capture('info')
    const failure = new TapelineError('STORE_UNAVAILABLE', 'no answer', { cause: new Error('ECONNRESET') })
    log.error({ err: failure, reason: failure }, 'write failed')
    for (const name of ['err', 'reason']) {
      const shown = entries()[0]?.[name] as Record<string, unknown>
      assert.equal(shown['code'], 'STORE_UNAVAILABLE', name)
      assert.match(String(shown['message']), /no answer.*ECONNRESET/, name)
      assert.match(String(shown['stack']), /log\.test\.ts/, name)
    }
  })

  test('ends on cyclic values and shortens bytes', () => {
    const { log, lines } = capture('info')
    const cyclic: Record<string, unknown> = { bytes: new Uint8Array(5000) }
    cyclic['self'] = cyclic
    log.info(cyclic, 'odd')
    assert.match(lines[0] ?? '', /\[5000 bytes\]/)
    assert.ok((lines[0] ?? '').length < 1000)
  })

  test('pretty: one readable line, and the stack of an error below it', () => {
    const { log, lines } = capture('info', true)
    log.info({ rows: 3, note: 'two words' }, 'stored')
    log.error({ err: new Error('broken') }, 'write failed')
    const [entry = '', failure = ''] = lines.map(stripVTControlCharacters)
    assert.match(entry, /^\d\d:\d\d:\d\d\.\d{3} INFO {2}stored rows=3 note="two words"\n$/)
    assert.match(failure, /ERROR write failed\n {4}Error: broken\n {4} +at /)
  })

  test('goes to standard error and leaves standard output free', async () => {
    const module = new URL('../../src/telemetry/log.ts', import.meta.url).href
    const program = `import { createLog } from '${module}'; createLog({ level: 'info' }).info({ a: 1 }, 'hello')`
    const ran = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    assert.equal(ran.stdout, '')
    assert.match(ran.stderr, /"msg":"hello"/)
  })
})
