import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TapelineError } from '../../../src/errors.ts'
import type { Broker, TopicSpec } from '../../../src/ports/broker.ts'
import { makeTopics } from '../../../src/services/coordinator/make-topics.ts'

const NEVER = new AbortController().signal

/** A broker that refuses some names, with all that are asked for in one call. */
function setUp(refused: Readonly<Record<string, TapelineError>>) {
  const calls: string[][] = []
  const createTopics = async (specs: readonly TopicSpec[]) => {
    calls.push(specs.map(({ name }) => name))
    for (const { name } of specs) if (refused[name]) throw refused[name]
    return specs.map(({ name, partitions }) => ({
      ...{ name, id: `id-${name}`, partitions, compacted: false },
      offsets: [{ earliest: 0, end: 0 }],
    }))
  }
  return { calls, broker: { createTopics } as unknown as Broker }
}

async function outcomeOf(broker: Broker, names: readonly string[]): Promise<Record<string, string>> {
  const outcome = await makeTopics(broker, names, 60_000, NEVER)
  return Object.fromEntries(
    [...outcome].map(([name, each]) => [name, each instanceof TapelineError ? each.code : each.id]),
  )
}

describe('the topics of streams', () => {
  test('are made in one call', async () => {
    const { calls, broker } = setUp({})
    assert.deepEqual(await outcomeOf(broker, ['a', 'b']), { a: 'id-a', b: 'id-b' })
    assert.deepEqual(calls, [['a', 'b']])
  })

  test('none asks the broker for nothing', async () => {
    const { calls, broker } = setUp({})
    assert.deepEqual(await outcomeOf(broker, []), {})
    assert.deepEqual(calls, [])
  })

  test('one that the broker refuses keeps no other from being made', async () => {
    const { calls, broker } = setUp({ b: new TapelineError('BROKER_REFUSED', 'no') })
    assert.deepEqual(await outcomeOf(broker, ['a', 'b', 'c']), { a: 'id-a', b: 'BROKER_REFUSED', c: 'id-c' })
    assert.deepEqual(calls, [['a', 'b', 'c'], ['a'], ['b'], ['c']])
  })

  for (const code of ['BROKER_UNAVAILABLE', 'BROKER_FULL', 'TIMEOUT'] as const) {
    test(`${code} is no word about one of them: all are tried again later`, async () => {
      const { calls, broker } = setUp({ b: new TapelineError(code, 'away') })
      await assert.rejects(outcomeOf(broker, ['a', 'b']), { code })
      assert.equal(calls.length, 1)
    })
  }
})
