import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { redactor, secretsOf } from '../../../../src/adapters/source/feed/words.ts'

describe('secrets in what a service says', () => {
  test('a password in an address is taken out, however it is written there', () => {
    for (const [address, said] of [
      ['wss://u:p%40ssword@feed/x', 'no: p@ssword, p%40ssword'],
      ['wss://u:hundred%@feed/x', 'no: hundred%'],
    ] as const) {
      const shown = redactor(secretsOf(new URL(address)))(said)
      assert.doesNotMatch(shown, /ssword|hundred/, shown)
    }
  })

  test('a secret of one letter garbles no text', () => {
    assert.equal(redactor(['e'])('the feed is closed'), 'the feed is closed')
  })
})
