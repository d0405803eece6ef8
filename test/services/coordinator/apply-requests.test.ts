import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TapelineError } from '../../../src/errors.ts'
import { applyRequests } from '../../../src/services/coordinator/apply-requests.ts'

interface Count {
  readonly id: string
  readonly count: number
}

const request = (requestId: string, id: string, add: number) => ({ requestId, id, add })

/** Adds to a counter, which may not go beyond 3. */
const add = (
  { id, add: more }: ReturnType<typeof request>,
  changed: ReadonlyMap<string, Count>,
): Count | undefined => {
  const count = (changed.get(id)?.count ?? 0) + more
  if (count > 3) throw new TapelineError('LIMIT_REACHED', `${id} is full`)
  return more === 0 ? undefined : { id, count }
}

describe('requests that are applied one after the other', () => {
  test('see what those before have changed; one that fails delays no other', () => {
    const requests = [request('1', 'a', 2), request('2', 'a', 2), request('3', 'b', 1), request('4', 'a', 1)]
    const { changed, failures } = applyRequests(requests, add)
    assert.deepEqual(
      [...changed.values()],
      [
        { id: 'a', count: 3 },
        { id: 'b', count: 1 },
      ],
    )
    assert.deepEqual(
      [...failures].map(([id, { code }]) => [id, code]),
      [['2', 'LIMIT_REACHED']],
    )
  })

  test('change nothing where all is as it should be', () => {
    const { changed, failures } = applyRequests([request('1', 'a', 0)], add)
    assert.deepEqual([changed.size, failures.size], [0, 0])
  })

  test('end with a defect, which is no failure of a request', () => {
    const defect = () => {
      throw new RangeError('a defect')
    }
    assert.throws(() => applyRequests([request('1', 'a', 1)], defect), /a defect/)
  })
})
