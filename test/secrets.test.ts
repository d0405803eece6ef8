import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TapelineError, toTapelineError } from '../src/errors.ts'
import { hideSecrets, redactText } from '../src/secrets.ts'
import { createLog } from '../src/telemetry/log.ts'

describe('secrets of the process', () => {
  const long = 'T0/B0/c"ö+4711-long-enough'
  const short = 'postgres-pw'
  hideSecrets([long, short, 'abc', undefined])

  test('stand in no text, however they are written', () => {
    for (const form of [
      long,
      `https://hooks.example.com/${long}`,
      encodeURIComponent(long),
      JSON.stringify(long),
      `x${long}x`,
      `password was ${short}.`,
      `'${short}'`,
    ]) {
      const shown = redactText(`it said ${form} and went on`)
      assert.ok(!shown.includes('4711') && !shown.includes(short), shown)
      assert.match(shown, /it said .*\[redacted\].* and went on/)
    }
  })

  test('that are words too are left alone within other words, and so is what is too short to be one', () => {
    assert.equal(
      redactText(`my${short} ${short}.registry ${short}-2 abc`),
      `my${short} ${short}.registry ${short}-2 abc`,
    )
  })

  test('stand in no error, whoever made its message, and in no line of the log', () => {
    assert.ok(!new TapelineError('INTERNAL', `no ${long}`).message.includes(long))
    assert.ok(!toTapelineError(new Error(`no ${short}`)).message.includes(short))
    const lines: string[] = []
    const log = createLog({ level: 'info', sink: { write: (line) => lines.push(line) } })
    log.error({ err: new Error(`no ${long}`), any: { deep: [long] } }, `said ${short}`)
    assert.ok(!lines.join('').includes('4711') && !lines.join('').includes(short), lines.join(''))
    assert.equal(typeof JSON.parse(lines[0] ?? ''), 'object', 'it is JSON still')
  })

  test('of webhooks are known by their form', () => {
    assert.equal(redactText('signed by whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'), 'signed by [redacted]')
  })
})
