import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failure } from '../../src/cli/doctor/finding.ts'
import { remedyOnCommandLine } from '../../src/cli/remedies.ts'
import { ERROR_KINDS, type ErrorCode, TapelineError } from '../../src/errors.ts'

/** What only somebody who writes requests can do. */
const HTTP =
  /\b(GET|POST|PUT|PATCH|DELETE) |header|Bearer|content-type|\{"op"|WebSocket|HTTP|\berrors names\b/

test('on the command line no remedy speaks of requests', () => {
  for (const code of Object.keys(ERROR_KINDS) as ErrorCode[]) {
    const remedy = remedyOnCommandLine(new TapelineError(code, ''))
    assert.doesNotMatch(remedy, HTTP, code)
  }
})

test('what one occurrence advises stays', () => {
  const error = new TapelineError('UNAUTHORIZED', '', { remedy: 'Ask Ada.' })
  assert.equal(remedyOnCommandLine(error), 'Ask Ada.')
})

test('a check of doctor that was not done in time does not speak of a platform that tries again', async () => {
  const signal = AbortSignal.timeout(0)
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
  const { detail, remedy } = failure('broker', signal.reason)
  assert.match(detail, /^TIMEOUT: not done before/)
  assert.match(remedy ?? '', /busy/)
  assert.doesNotMatch(remedy ?? '', /platform/)
})
