import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  exactDigits,
  parseExact,
  parseJson,
  readId,
  readWireId,
} from '../../../../src/adapters/source/feed/text.ts'

describe('the digits of a whole number that a double cannot hold', () => {
  const BIG = '9007199254740993222'
  const CASES: readonly (readonly [title: string, json: string, digits: string | undefined])[] = [
    ['as they are written', `{"id":${BIG}}`, BIG],
    ['not those of an inner object', `{"inner":{"id":9007199254740993111},"id":${BIG}}`, BIG],
    ['not those in a text', `{"note":"\\"id\\":9007199254740993111,","id":${BIG}}`, BIG],
    [
      'the last ones where a field comes twice, as in JSON.parse',
      `{"id":9007199254740993111,"id":${BIG}}`,
      BIG,
    ],
    ['none of a number with an exponent', '{"id":9.007199254740993222e18}', undefined],
    ['none below zero', `{"id":-${BIG}}`, undefined],
    ['none of more digits than an id may have', `{"id":${'9'.repeat(129)}}`, undefined],
  ]
  for (const [title, json, digits] of CASES)
    test(title, () => {
      assert.equal(exactDigits(json, 'id'), digits)
    })
  for (const [title, json, digits] of CASES)
    test(`${title}, where the whole frame is read with them`, () => {
      assert.equal(readWireId((parseJson(json) as { readonly id: unknown }).id), digits)
    })
})

test('a long number is seen wherever in a frame it stands', () => {
  for (let before = 0; before < 40; before++) {
    const frame = (number: string) => `{"${'x'.repeat(before)}":"z","n":${number}}`
    const read = (number: string) => (parseJson(frame(number)) as { readonly n: unknown }).n
    assert.equal(read('9007199254740993'), '9007199254740993')
    assert.equal(read('1793000000123456'), 1_793_000_000_123_456)
    const exact = (number: string) => (parseExact(frame(number)) as { readonly n: unknown }).n
    assert.equal(exact('64000.12345678901'), '64000.12345678901')
    assert.equal(exact('-0.1234567890123456'), '-0.1234567890123456')
    assert.equal(exact('64000.1234567890'), 64000.123456789)
    assert.equal(exact('"64000.12345678901"'), '64000.12345678901')
    assert.equal(exact('9007199254740993'), '9007199254740993')
  }
})

describe('an id that came as text', () => {
  test('is refused where a part of the platform would change it', () => {
    for (const id of ['', 'a\u0000b', '\ud800', 'a\udfff', '\ufeffa', 'a'.repeat(129)])
      assert.equal(readId(id), undefined, JSON.stringify(id))
  })
  test('is kept as it is otherwise', () => {
    for (const id of ['007', '7', ' 7', 'é', 'e\u0301', 'a\ufeff', '😀', 'a'.repeat(128)])
      assert.equal(readId(id), id)
  })
})
