import type { Writable } from 'node:stream'
import { WebSocket } from 'ws'
import { createDrain } from '../../async/drain.ts'
import type { AppEndpoint, AppMessage } from '../../ports/transport.ts'
import { textFrame } from './text-frame.ts'
import { turnOfLoop, uncorkAtEndOfTurn } from './turn-of-loop.ts'

/** Text, although the bytes are a Buffer: encoding once and sending bytes costs a third less than sending a string. */
const TEXT_FRAME = { binary: false }
const NOTHING = Buffer.alloc(0)
/** Frames that are gathered for a connection go when they are so many bytes: more at once saves nothing. */
const MOST_GATHERED_BYTES = 64 * 1024

/** The frame that was sent last: the same bytes go to many sockets, one after the other. */
let last: { readonly bytes: Uint8Array; readonly frame: Buffer } | undefined

function frameOf(bytes: Uint8Array): Buffer {
  if (last?.bytes !== bytes) last = { bytes, frame: textFrame(bytes) }
  return last.frame
}

/** The stream under a WebSocket. */
type FrameConnection = Pick<Writable, 'write' | 'writableLength' | 'cork' | 'uncork'>

/**
 * An open WebSocket as an endpoint: every message is one JSON text frame.
 *
 * What is sent after the socket began to close is dropped: `closed` says so, and a cursor resumes. `drained` wakes by the
 * callbacks of writes. The caller listens to the socket's `error` event.
 *
 * `connection`: the stream under the socket, which must have no extensions. What goes to many sockets is then written as one frame that is made
 * once: ws makes a head for each socket, and writes it apart. Of the frames of one turn of the event loop the first goes at once, and further ones go
 * together: each write is a call of the system, and one socket may read a thousand streams.
 */
export function createWebSocketEndpoint(
  socket: WebSocket,
  id: string,
  connection?: FrameConnection,
): AppEndpoint {
  const isClosed = () => socket.readyState !== WebSocket.OPEN
  const pendingBytes = connection ? () => connection.writableLength : () => socket.bufferedAmount
  const { drained, wake } = createDrain({ isClosed, pendingBytes })
  socket.once('close', wake)

  // A write that failed has emptied the buffer without sending it: the `close` that follows wakes instead.
  const onWritten = (failure?: Error | null) => {
    if (!failure) wake()
  }

  const sendBytes = (bytes: Uint8Array) => {
    if (!isClosed()) socket.send(bytes, TEXT_FRAME, onWritten)
  }

  /** Whether the frame that was written last has a callback. */
  let isHeard = true
  /** The turns in which it sent last, and gathered last. */
  let sentIn = 0
  let gatheredIn = 0
  /** What waited in front of the frames that are gathered. */
  let inFront = 0
  const sendFrame = (frame: Buffer) => {
    if (connection === undefined || isClosed()) return
    const turn = turnOfLoop()
    if (sentIn !== turn) inFront = connection.writableLength
    else if (gatheredIn !== turn) {
      gatheredIn = turn
      inFront = connection.writableLength
      uncorkAtEndOfTurn(connection)
    }
    sentIn = turn
    // The kernel takes at once what nothing waits in front of. A callback for it would cost a fifth of the rest.
    isHeard = inFront > 0
    connection.write(frame, isHeard ? onWritten : undefined)
    if (gatheredIn !== turn || connection.writableLength - inFront < MOST_GATHERED_BYTES) return
    connection.uncork()
    inFront = connection.writableLength
    connection.cork()
  }

  return {
    id,
    get pendingBytes() {
      return pendingBytes()
    },
    get closed() {
      return isClosed()
    },
    send: (message: AppMessage) => {
      const bytes = Buffer.from(JSON.stringify(message))
      if (connection === undefined) sendBytes(bytes)
      else sendFrame(textFrame(bytes))
    },
    sendEncoded: connection === undefined ? sendBytes : (bytes) => sendFrame(frameOf(bytes)),
    drained(bytes, signal) {
      // Once for each frame without a callback, however often somebody waits.
      if (!isHeard && !isClosed() && pendingBytes() > 0) {
        isHeard = true
        connection?.write(NOTHING, onWritten)
      }
      return drained(bytes, signal)
    },
    disconnect: () => socket.terminate(),
  }
}
