import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorsPage } from '../../src/cli/docs/errors-page.ts'
import { ERROR_KINDS } from '../../src/errors.ts'

test('the page of errors has each code with its meaning and what to do', () => {
  const page = errorsPage()
  for (const [code, { meaning, remedy, status }] of Object.entries(ERROR_KINDS)) {
    const section = page.split(`\n## ${code}\n`)[1]?.split('\n## ')[0]
    assert.ok(section, code)
    for (const text of [meaning, remedy, `HTTP ${status}`])
      assert.ok(section.includes(text), `${code}: ${text}`)
    assert.ok(page.includes(`[\`${code}\`](#${code.toLowerCase()})`), `${code} is in the table`)
  }
})
