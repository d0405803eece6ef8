import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heapGrowth } from '../collected-heap.ts'
import { call } from '../gateway/http.ts'
import { startPlatform } from '../gateway/platform.ts'
import { openSocket } from '../gateway/socket-client.ts'

const ROUNDS = 300

test('a gateway keeps nothing of requests that were answered and sockets that went', async (t) => {
  const { url, logged, delivery } = await startPlatform(t)
  const serve = async (): Promise<void> => {
    for (let n = 0; n < ROUNDS; n++) {
      await Promise.all(['healthz', 'readyz', 'metrics'].map((path) => call(`${url}/${path}`)))
      const { socket, closed } = await openSocket({ after: () => {} }, `${url}/v1/ws`)
      socket.close()
      await closed
    }
    // What the ports in memory note for tests.
    logged.length = 0
    delivery.connections.length = 0
  }
  await serve()
  const rounds: number[] = []
  while (rounds.length < 2) rounds.push(await heapGrowth(serve))
  // What is kept grows in each round; what is compiled late does not.
  const grown = Math.min(...rounds)
  assert.ok(grown < ROUNDS * 500, `${grown} bytes after ${3 * ROUNDS} requests and ${ROUNDS} sockets`)
})
