import { WebSocket } from 'ws'
import { createDrain } from '../../async/drain.ts'
import type { AppEndpoint, AppMessage } from '../../ports/transport.ts'

/** Text, although the bytes are a Buffer: encoding once and sending bytes costs a third less than sending a string. */
const TEXT_FRAME = { binary: false }

/**
 * An open WebSocket as an endpoint: every message is one JSON text frame.
 *
 * What is sent after the socket began to close is dropped: `closed` says so, and a cursor resumes. `drained` wakes by the
 * write callbacks of the socket. The caller listens to the socket's `error` event.
 */
export function createWebSocketEndpoint(socket: WebSocket, id: string): AppEndpoint {
  const isClosed = () => socket.readyState !== WebSocket.OPEN
  const { drained, wake } = createDrain({ isClosed, pendingBytes: () => socket.bufferedAmount })
  socket.once('close', wake)

  // A write that failed has emptied the buffer without sending it: the `close` that follows wakes instead.
  const onWritten = (failure?: Error | null) => {
    if (!failure) wake()
  }

  const sendBytes = (bytes: Uint8Array) => {
    if (!isClosed()) socket.send(bytes, TEXT_FRAME, onWritten)
  }

  return {
    id,
    get pendingBytes() {
      return socket.bufferedAmount
    },
    get closed() {
      return isClosed()
    },
    send: (message: AppMessage) => sendBytes(Buffer.from(JSON.stringify(message))),
    sendEncoded: sendBytes,
    drained,
    disconnect: () => socket.terminate(),
  }
}
