import { test } from 'node:test'
import { call } from '../gateway/http.ts'
import { startPlatform } from '../gateway/platform.ts'
import { openSocket } from '../gateway/socket-client.ts'
import { assertLevel } from './level.ts'

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
  const what = `${3 * ROUNDS} requests and ${ROUNDS} sockets`
  await assertLevel(serve, { rounds: 2, mostBytes: ROUNDS * 500, what })
})
