import type { Writable } from 'node:stream'
import { WebSocket } from 'ws'
import { createDrain } from '../../async/drain.ts'
import type { AppEndpoint, AppMessage } from '../../ports/transport.ts'
import { textFrame } from './text-frame.ts'

/** Text, although the bytes are a Buffer: encoding once and sending bytes costs a third less than sending a string. */
const TEXT_FRAME = { binary: false }

/** The frame that was sent last: the same bytes go to many sockets, one after the other. */
let last: { readonly bytes: Uint8Array; readonly frame: Buffer } | undefined

function frameOf(bytes: Uint8Array): Buffer {
  if (last?.bytes !== bytes) last = { bytes, frame: textFrame(bytes) }
  return last.frame
}

/**
 * An open WebSocket as an endpoint: every message is one JSON text frame.
 *
 * What is sent after the socket began to close is dropped: `closed` says so, and a cursor resumes. `drained` wakes by the
 * write callbacks of the socket. The caller listens to the socket's `error` event.
 *
 * `connection`: the stream under the socket, which must have no extensions. What goes to many sockets is then written as one frame that is made
 * once: ws makes a head for each socket, and writes it apart.
 */
export function createWebSocketEndpoint(
  socket: WebSocket,
  id: string,
  connection?: Pick<Writable, 'write'>,
): AppEndpoint {
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

  const sendFrame = (bytes: Uint8Array) => {
    if (!isClosed()) connection?.write(frameOf(bytes), onWritten)
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
    sendEncoded: connection === undefined ? sendBytes : sendFrame,
    drained,
    disconnect: () => socket.terminate(),
  }
}
