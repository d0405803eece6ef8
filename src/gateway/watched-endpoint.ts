import type { AppEndpoint, AppMessage } from '../ports/transport.ts'

/** The same endpoint, where every message (not data) passes by on its way out. `onMessage` gives what is sent; undefined where nothing is. */
export function watchedEndpoint(
  endpoint: AppEndpoint,
  onMessage: (message: AppMessage) => AppMessage | undefined,
): AppEndpoint {
  return {
    id: endpoint.id,
    get pendingBytes() {
      return endpoint.pendingBytes
    },
    get closed() {
      return endpoint.closed
    },
    send(message) {
      const sent = onMessage(message)
      if (sent !== undefined) endpoint.send(sent)
    },
    sendEncoded: (bytes, cursor, events) => endpoint.sendEncoded(bytes, cursor, events),
    drained: (bytes, signal) => endpoint.drained(bytes, signal),
    disconnect: () => endpoint.disconnect?.(),
  }
}
