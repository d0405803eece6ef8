import { connect } from 'node:net'
import { startTimer } from '../../../async/timers.ts'
import type { Address } from './address.ts'

const CANCEL_REQUEST = 80_877_102
const TIMEOUT_MS = 2_000

/** What the server knows a connection by. */
export interface BackendKey {
  readonly processId: number
  readonly secret: number
}

/**
 * Asks the server to end what a connection runs, as psql does on Ctrl-C: a connection that only goes away would leave a query
 * running to its end. Best effort: the server's own timeout ends it too. The message travels without TLS, which the server
 * takes from anybody; the secret in it is of no more use, since the connection is closed at once.
 */
export function cancelRunning({ host, port }: Address, { processId, secret }: BackendKey): void {
  const request = Buffer.alloc(16)
  request.writeInt32BE(request.length, 0)
  request.writeInt32BE(CANCEL_REQUEST, 4)
  request.writeInt32BE(processId, 8)
  request.writeInt32BE(secret, 12)
  const socket = connect({ host, port })
  const timer = startTimer(() => socket.destroy(), TIMEOUT_MS)
  timer.unref()
  socket.unref()
  socket.on('error', () => socket.destroy())
  socket.on('close', () => timer.stop())
  socket.end(request)
}
