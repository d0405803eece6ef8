import type { AppMessage } from '../domain/app-messages.ts'
import type { StreamBatch } from './pipeline.ts'

export type { AppMessage } from '../domain/app-messages.ts'

/** One connection to an application: a WebSocket, server-sent events, or a webhook. */
export interface AppEndpoint {
  readonly id: string
  /** Bytes that the endpoint has taken and the network has not. */
  readonly pendingBytes: number
  send(message: AppMessage): void
  /** Sends an already encoded data message, and says what cursor and how many events are in it; the same bytes may go to many endpoints. */
  sendEncoded(bytes: Uint8Array, cursor: string, events: number): void
  /** Resolves when `pendingBytes` has fallen below `bytes`, or the endpoint has closed. */
  drained(bytes: number, signal: AbortSignal): Promise<void>
  readonly closed: boolean
  /** Bytes that may wait in it before it is served from the log at its own pace; left out: the usual bound of sockets. */
  readonly mostPendingBytes?: number
  /** Delivery's own note: the cycle in which it got something last. */
  deliveredIn?: number
  /** Ends the connection at once: its peer takes nothing. */
  disconnect?(): void
  /** Takes the records themselves, instead of a data message: an endpoint that divides them anew. */
  takeRecords?(records: TakenRecords): void
}

/** The records of a batch from an offset on: what lies in front of it the endpoint has. */
export interface TakenRecords {
  readonly batch: StreamBatch
  readonly from: number
  /** Behind all of the batch. */
  readonly cursor: string
}
