import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heapGrowth } from '../collected-heap.ts'
import { call } from '../gateway/http.ts'
import { startPlatform } from '../gateway/platform.ts'

const ROUNDS = 300

test('a gateway keeps nothing of requests that were answered', async (t) => {
  const { url, logged } = await startPlatform(t)
  const serve = async (): Promise<void> => {
    for (let n = 0; n < ROUNDS; n++)
      await Promise.all(['healthz', 'readyz', 'metrics'].map((path) => call(`${url}/${path}`)))
    logged.length = 0
  }
  await serve()
  const rounds: number[] = []
  while (rounds.length < 2) rounds.push(await heapGrowth(serve))
  // What is kept grows in each round; what is compiled late does not.
  const grown = Math.min(...rounds)
  assert.ok(grown < ROUNDS * 500, `${grown} bytes after ${3 * ROUNDS} requests`)
})
