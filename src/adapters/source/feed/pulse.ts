import { startInterval } from '../../../async/timers.ts'

/** How often it looks, and how many quiet looks in a row mean that nobody is there. */
const LOOK_MS = 4_000
const LOOKS = 4

/** What it needs of a WebSocket. */
export interface PulsedSocket {
  ping(): void
  on(event: 'message' | 'ping' | 'pong', listener: () => void): unknown
}

/**
 * Feels whether the other side of an open WebSocket is still there, by pings of the protocol: a quiet market cannot be told from a service that
 * stands still otherwise, and heartbeats of services come a minute apart. It calls `gone` once, 12 to 16 s after the last sign of life, and
 * only where that connection has answered a ping before. It counts looks, not time: a process that stood still itself makes one late look.
 */
export function startPulse(socket: PulsedSocket, gone: () => void): { stop(): void } {
  let isHeard = true
  let doesAnswer = false
  let quietLooks = 0
  const hear = (): void => {
    isHeard = true
  }
  socket.on('message', hear)
  socket.on('ping', hear)
  socket.on('pong', () => {
    doesAnswer = true
    hear()
  })
  socket.ping()
  const timer = startInterval(() => {
    quietLooks = isHeard ? 0 : quietLooks + 1
    isHeard = false
    if (quietLooks >= LOOKS - 1 && doesAnswer) {
      timer.stop()
      gone()
    } else if (quietLooks > 0) socket.ping()
  }, LOOK_MS)
  return timer
}
