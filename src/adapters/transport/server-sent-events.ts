import type { ServerResponse } from 'node:http'
import { createDrain } from '../../async/drain.ts'
import type { AppEndpoint, AppMessage } from '../../ports/transport.ts'

const END = '\n\n'

/**
 * An HTTP response as an endpoint, in the format of server-sent events: each message is one event, whose data is the JSON that a
 * WebSocket would get and whose id is the cursor after it, where it has one.
 *
 * The response is of one stream, and ends after `end` or `error`. What is sent after that is dropped: `closed` says so, and the last id resumes. The caller has written the head.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function createEventStreamEndpoint(response: ServerResponse, id: string): AppEndpoint {
  const isClosed = () => response.destroyed || response.writableEnded
  const pendingBytes = () => response.writableLength
  const { drained, wake } = createDrain({ isClosed, pendingBytes })
  response.once('close', wake)

  const onWritten = (failure?: Error | null) => {
    if (!failure) wake()
  }

  const write = (data: Uint8Array, cursor: string | undefined) => {
    if (isClosed()) return
    response.cork()
    // Neither a cursor nor JSON has a line break in it.
    response.write(cursor === undefined ? 'data: ' : `id: ${cursor}\ndata: `)
    response.write(data)
    response.write(END, onWritten)
    response.uncork()
  }

  return {
    id,
    get pendingBytes() {
      return pendingBytes()
    },
    get closed() {
      return isClosed()
    },
    send(message: AppMessage) {
      write(Buffer.from(JSON.stringify(message)), 'cursor' in message ? message.cursor : undefined)
      if (message.op === 'end' || message.op === 'error') response.end()
    },
    sendEncoded: write,
    drained,
    disconnect: () => response.destroy(),
  }
}
