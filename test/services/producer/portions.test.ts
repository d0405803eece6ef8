import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { portionsOf } from '../../../src/services/producer/portions.ts'

/** Of its text as JSON, which has two quotes. */
const itemOf = (bytes: number): string => 'x'.repeat(bytes - 2)
const KIB = 1024

describe('portions', () => {
  test('of nothing are one, without anything', () => {
    assert.deepEqual(portionsOf([]), [[]])
  })

  test('are filled to the last byte, in order, and begin anew with what has no room', () => {
    const items = [itemOf(128 * KIB), itemOf(128 * KIB), itemOf(3), itemOf(256 * KIB), itemOf(3)]
    assert.deepEqual(
      portionsOf(items).map((portion) => portion.length),
      [2, 1, 1, 1],
    )
    assert.deepEqual(portionsOf(items).flat(), items)
  })

  test('of what is too large by itself have nothing else, and none is empty', () => {
    const items = [itemOf(300 * KIB), itemOf(300 * KIB), itemOf(3)]
    assert.deepEqual(
      portionsOf(items).map((portion) => portion.length),
      [1, 1, 1],
    )
  })

  test('count bytes, not characters', () => {
    const items = ['ä'.repeat(64 * KIB), 'ä'.repeat(64 * KIB)]
    assert.equal(portionsOf(items).length, 2)
  })
})
