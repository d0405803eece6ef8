import type { AppEndpoint, AppMessage } from '../ports/transport.ts'

/** The same endpoint, where every message (not data) passes by on its way out. `onMessage` gives what is sent; undefined where nothing is. */
export function watchedEndpoint(
  endpoint: AppEndpoint,
  onMessage: (message: AppMessage) => AppMessage | undefined,
): AppEndpoint {
  return new WatchedEndpoint(endpoint, onMessage)
}

/** A class for the same reason as the endpoint of a WebSocket: data goes through a thousand of these for each event. */
class WatchedEndpoint implements AppEndpoint {
  deliveredIn = 0
  readonly #endpoint: AppEndpoint
  readonly #onMessage: (message: AppMessage) => AppMessage | undefined

  constructor(endpoint: AppEndpoint, onMessage: (message: AppMessage) => AppMessage | undefined) {
    this.#endpoint = endpoint
    this.#onMessage = onMessage
  }

  get id(): string {
    return this.#endpoint.id
  }

  get pendingBytes(): number {
    return this.#endpoint.pendingBytes
  }

  get closed(): boolean {
    return this.#endpoint.closed
  }

  send(message: AppMessage): void {
    const sent = this.#onMessage(message)
    if (sent !== undefined) this.#endpoint.send(sent)
  }

  sendEncoded(bytes: Uint8Array, cursor: string, events: number): void {
    this.#endpoint.sendEncoded(bytes, cursor, events)
  }

  drained(bytes: number, signal: AbortSignal): Promise<void> {
    return this.#endpoint.drained(bytes, signal)
  }

  disconnect(): void {
    this.#endpoint.disconnect?.()
  }
}
