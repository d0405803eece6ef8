import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHand } from '../../src/services/hand.ts'

test('what was handed out is held until it is done', () => {
  const hand = createHand<{ readonly text: string }>()
  assert.equal(hand.held, undefined)
  const batch = hand.give({ text: 'first' })
  assert.equal(hand.held, batch)
  assert.equal(batch.text, 'first')
  batch.done()
  assert.equal(hand.held, undefined)
})

test('a batch that was given up, or done before, does not let go the one that is held now', () => {
  const hand = createHand<{ readonly text: string }>()
  const givenUp = hand.give({ text: 'given up' })
  hand.drop()
  assert.equal(hand.held, undefined)
  const held = hand.give({ text: 'held' })
  givenUp.done()
  assert.equal(hand.held, held)
  held.done()
  const next = hand.give({ text: 'next' })
  held.done()
  assert.equal(hand.held, next)
})
