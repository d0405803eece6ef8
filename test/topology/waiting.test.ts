import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ErrorCode, TapelineError } from '../../src/errors.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createWaiting } from '../../src/topology/waiting.ts'

const NAMES = { broker: 'the broker at b:9092', store: 'the database at d:5432/x' }

function waitingOn(names: typeof NAMES | { broker: undefined; store: undefined }) {
  const lines: { msg: string; server: string; code: string; reason: string }[] = []
  const log = createLog({ level: 'warn', sink: { write: (line) => lines.push(JSON.parse(line)) } })
  return { waiting: createWaiting(names, log), lines }
}

/** Fails with each code in turn, then works. */
function failing(...codes: readonly ErrorCode[]): { attempt(): Promise<number>; readonly calls: number } {
  let calls = 0
  return {
    get calls() {
      return calls
    },
    async attempt() {
      const code = codes[calls++]
      if (code !== undefined) throw new TapelineError(code, `connect ECONNREFUSED (${code})`)
      return 42
    },
  }
}

const never = new AbortController().signal

describe('waiting for servers', { concurrency: true }, () => {
  test('goes on until it works, and says once a minute what each server says', async () => {
    const { waiting, lines } = waitingOn(NAMES)
    const { attempt } = failing('BROKER_UNAVAILABLE', 'STORE_UNAVAILABLE', 'BROKER_UNAVAILABLE')
    assert.equal(await waiting.until(attempt, never), 42)
    assert.deepEqual(
      lines.map(({ server, code, reason }) => [server, code, reason]),
      [
        [NAMES.broker, 'BROKER_UNAVAILABLE', 'connect ECONNREFUSED (BROKER_UNAVAILABLE)'],
        [NAMES.store, 'STORE_UNAVAILABLE', 'connect ECONNREFUSED (STORE_UNAVAILABLE)'],
      ],
    )
    assert.match(lines[0]?.msg ?? '', /waiting for the broker at b:9092/)
  })

  const FOR_A_PERSON: readonly ErrorCode[] = [
    'BROKER_UNAUTHORIZED',
    'BROKER_LOGIN_MISMATCH',
    'BROKER_FORBIDDEN',
    'BROKER_TLS_FAILED',
    'BROKER_HOST_UNKNOWN',
    'BROKER_UNSUPPORTED',
    'STORE_UNAUTHORIZED',
    'STORE_FORBIDDEN',
    'STORE_TLS_FAILED',
    'STORE_HOST_UNKNOWN',
    'STORE_DATABASE_UNKNOWN',
    'STORE_UNSUPPORTED',
    'MIGRATION_MISMATCH',
    'PARTITIONS_CHANGED',
    'CONFIG_INVALID',
    'INTERNAL',
  ]
  for (const code of FOR_A_PERSON) {
    test(`does not wait for ${code}`, async () => {
      const { waiting, lines } = waitingOn(NAMES)
      const failed = failing(code)
      await assert.rejects(waiting.until(failed.attempt, never), { code })
      assert.deepEqual([failed.calls, lines.length], [1, 0])
    })
  }

  test('a deadline that ran out is waited for, by either name of it', async () => {
    const { waiting, lines } = waitingOn(NAMES)
    let calls = 0
    const attempt = async () => {
      if (calls++ === 0) throw new DOMException('not done within 5000 ms', 'TimeoutError')
      return 'there'
    }
    assert.equal(await waiting.until(attempt, never), 'there')
    assert.match(lines[0]?.server ?? '', /the broker at b:9092 or the database at d:5432\/x/)
  })

  test('an engine within this process is not waited for', async () => {
    for (const code of ['BROKER_UNAVAILABLE', 'STORE_UNAVAILABLE', 'TIMEOUT'] as const) {
      const { waiting } = waitingOn({ broker: undefined, store: undefined })
      await assert.rejects(waiting.until(failing(code).attempt, never), { code })
    }
  })

  test('Ctrl-C ends the wait at once', async () => {
    const { waiting } = waitingOn(NAMES)
    const stop = new AbortController()
    const attempt = async () => {
      setImmediate(() => stop.abort())
      throw new TapelineError('STORE_UNAVAILABLE', 'away')
    }
    await assert.rejects(waiting.until(attempt, stop.signal), { name: 'AbortError' })
  })
})
