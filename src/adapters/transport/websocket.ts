import type { Writable } from 'node:stream'
import { WebSocket } from 'ws'
import { createDrain, type Drain } from '../../async/drain.ts'
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
 * once: ws makes a head for each socket, and writes it apart.
 */
export function createWebSocketEndpoint(
  socket: WebSocket,
  id: string,
  connection?: FrameConnection,
): AppEndpoint {
  return connection === undefined ? messageEndpoint(socket, id) : new FrameEndpoint(socket, id, connection)
}

/** Where the stream under the socket is not known. */
function messageEndpoint(socket: WebSocket, id: string): AppEndpoint {
  const isClosed = () => socket.readyState !== WebSocket.OPEN
  const { drained, wake } = createDrain({ isClosed, pendingBytes: () => socket.bufferedAmount })
  socket.once('close', wake)
  const sendBytes = (bytes: Uint8Array) => {
    // A write that failed has emptied the buffer without sending it: the `close` that follows wakes instead.
    if (!isClosed()) socket.send(bytes, TEXT_FRAME, (failure) => failure || wake())
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

/**
 * Of the frames of one turn of the event loop the first goes at once, and further ones go together: each write is a call of the system, and one
 * socket may read a thousand streams.
 *
 * It is a class because a frame goes to a thousand of them one after the other: functions of its own for each would be as many objects more that no
 * cache holds.
 */
class FrameEndpoint implements AppEndpoint {
  readonly id: string
  readonly #socket: WebSocket
  readonly #connection: FrameConnection
  readonly #drain: Drain
  /** Whether the frame that was written last has a callback. */
  #isHeard = true
  /** The turns in which it sent last, and gathered last. */
  #sentIn = 0
  #gatheredIn = 0
  /** What waited in front of the frames that are gathered. */
  #inFront = 0

  constructor(socket: WebSocket, id: string, connection: FrameConnection) {
    this.id = id
    this.#socket = socket
    this.#connection = connection
    this.#drain = createDrain({ isClosed: () => this.closed, pendingBytes: () => this.pendingBytes })
    socket.once('close', this.#drain.wake)
  }

  get pendingBytes(): number {
    return this.#connection.writableLength
  }

  get closed(): boolean {
    return this.#socket.readyState !== WebSocket.OPEN
  }

  send(message: AppMessage): void {
    this.#write(textFrame(Buffer.from(JSON.stringify(message))))
  }

  sendEncoded(bytes: Uint8Array): void {
    this.#write(frameOf(bytes))
  }

  drained(bytes: number, signal: AbortSignal): Promise<void> {
    // Once for each frame without a callback, however often somebody waits.
    if (!this.#isHeard && !this.closed && this.pendingBytes > 0) {
      this.#isHeard = true
      this.#connection.write(NOTHING, this.#onWritten)
    }
    return this.#drain.drained(bytes, signal)
  }

  disconnect(): void {
    this.#socket.terminate()
  }

  #write(frame: Buffer): void {
    if (this.closed) return
    const connection = this.#connection
    const turn = turnOfLoop()
    if (this.#sentIn !== turn) this.#inFront = connection.writableLength
    else if (this.#gatheredIn !== turn) {
      this.#gatheredIn = turn
      this.#inFront = connection.writableLength
      uncorkAtEndOfTurn(connection)
    }
    this.#sentIn = turn
    // The kernel takes at once what nothing waits in front of. A callback for it would cost a fifth of the rest.
    this.#isHeard = this.#inFront > 0
    connection.write(frame, this.#isHeard ? this.#onWritten : undefined)
    if (this.#gatheredIn !== turn || connection.writableLength - this.#inFront < MOST_GATHERED_BYTES) return
    connection.uncork()
    this.#inFront = connection.writableLength
    connection.cork()
  }

  // A write that failed has emptied the buffer without sending it: the `close` that follows wakes instead.
  readonly #onWritten = (failure?: Error | null): void => {
    if (!failure) this.#drain.wake()
  }
}
