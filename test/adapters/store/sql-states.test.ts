import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { queryError, readError, writeError } from '../../../src/adapters/store/database-errors.ts'
import { DatabaseError } from '../../../src/adapters/store/session.ts'
import { CLASSES, meaningOf, STATES } from '../../../src/adapters/store/sql-states.ts'
import { TapelineError } from '../../../src/errors.ts'

/** Appendix A of PostgreSQL's manual: https://www.postgresql.org/docs/18/errcodes-appendix.html */
const POSTGRES_CLASSES =
  '00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 72 F0 HV P0 XX'.split(
    ' ',
  )

function codeOf(error: unknown): string {
  assert.ok(error instanceof TapelineError)
  return error.code
}

describe('what the states of a database mean', () => {
  test('each class has its place and a reason, and no other is there', () => {
    assert.deepEqual(Object.keys(CLASSES).sort(), POSTGRES_CLASSES.toSorted())
    for (const [name, { reason }] of Object.entries({ ...CLASSES, ...STATES })) assert.ok(reason, name)
    for (const state of Object.keys(STATES)) assert.ok(state.slice(0, 2) in CLASSES, state)
  })

  for (const [state, write, own, query] of [
    ['53100', 'STORE_FULL', 'STORE_FULL', 'SQL_TOO_LARGE'],
    ['53200', 'STORE_WRITE_TOO_LARGE', 'STORE_UNAVAILABLE', 'SQL_TOO_LARGE'],
    ['53300', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'],
    ['40P01', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'],
    ['57014', 'TIMEOUT', 'TIMEOUT', 'TIMEOUT'],
    ['25006', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE', 'SQL_READ_ONLY'],
    ['42501', 'STORE_FORBIDDEN', 'STORE_FORBIDDEN', 'STORE_FORBIDDEN'],
    ['23514', 'EVENT_INVALID', 'INTERNAL', 'SQL_INVALID'],
    ['P0001', 'EVENT_INVALID', 'INTERNAL', 'SQL_INVALID'],
    ['42703', 'INTERNAL', 'INTERNAL', 'SQL_INVALID'],
    ['ZZ999', 'INTERNAL', 'INTERNAL', 'SQL_INVALID'],
  ] as const) {
    test(`${state}: ${meaningOf(state).reason}`, () => {
      const thrown = new DatabaseError('refused', state)
      assert.deepEqual(
        [codeOf(writeError(thrown)), codeOf(readError(thrown)), codeOf(queryError(thrown))],
        [write, own, query],
      )
    })
  }
})
