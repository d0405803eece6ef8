import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { STREAM } from './messages.ts'
import type { Fan } from './server.ts'

/** The baseline: encodes a frame once, and sends it to each socket in a loop. No log, no cursor, no bound. */
export async function openBareFan(): Promise<Fan> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.on('connection', (socket) =>
    socket.once('message', () => socket.send(JSON.stringify({ op: 'subscribed', stream: STREAM }))),
  )
  return {
    port,
    sockets: server.clients,
    async emit(events) {
      const bytes = Buffer.from(JSON.stringify({ op: 'data', stream: STREAM, events }))
      for (const socket of server.clients)
        if (socket.readyState === WebSocket.OPEN) socket.send(bytes, { binary: false })
    },
  }
}
