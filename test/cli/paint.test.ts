import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { WriteStream } from 'node:tty'
import { paint, painted } from '../../src/cli/paint.ts'
import { visibleText } from '../../src/cli/visible-text.ts'

/** A line as a terminal that can show colours, or a pipe, gets it. */
function line(t: TestContext, isTTY: boolean, environment: Readonly<Record<string, string>> = {}): string {
  const kept = { ...process.env }
  t.after(() => {
    process.env = kept
  })
  // What a terminal can show is also judged by the service that builds.
  const { FORCE_COLOR: _forced, NO_COLOR: _none, CI: _ci, ...rest } = kept
  process.env = { ...rest, TERM: 'xterm', ...environment }
  const stream = { isTTY, writable: true, getColorDepth: WriteStream.prototype.getColorDepth }
  const texts = [painted('red', 'FAIL'), ' of \u001b[31mdata']
  return paint(texts, Object.setPrototypeOf(stream, WriteStream.prototype) as WriteStream, visibleText)
}

const PLAIN = 'FAIL of \\u001b[31mdata'

test('there are colours on a terminal, unless NO_COLOR is set, and none from data', (t) => {
  assert.equal(line(t, true), '\u001b[31mFAIL\u001b[39m of \\u001b[31mdata')
  assert.equal(line(t, true, { NO_COLOR: '1' }), PLAIN)
  assert.equal(line(t, false), PLAIN)
})
