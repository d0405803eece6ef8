import type { TapelineError } from '../errors.ts'

/** One message for a receiver, as it is sent again until the receiver has taken it. */
export interface WebhookMessage {
  /** The same at each attempt: receivers leave out what they have. */
  readonly id: string
  /** JSON. */
  readonly body: Uint8Array
}

/** Where messages go, and what signs them. */
export interface WebhookReceiver {
  readonly url: string
  /** `whsec_` and the key in base64. */
  readonly secret: string
}

/** What became of an attempt. `gone`: the receiver answered 410 and wants nothing more. */
export type WebhookAnswer =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'gone'; readonly error: TapelineError }
  | {
      readonly kind: 'failed'
      readonly error: TapelineError
      /** How long the receiver wants to be left alone, in milliseconds. */
      readonly restMs?: number
    }

/** Sends messages to receivers on the internet, and to no address of a network of ours. */
export interface WebhookSender {
  /** The longest that an attempt takes, in milliseconds. */
  readonly longestMs: number
  /** Tries once. Rejects with the signal's reason only. */
  send(receiver: WebhookReceiver, message: WebhookMessage, signal: AbortSignal): Promise<WebhookAnswer>
  /**
   * Refuses an address that no message would ever be sent to. A name without an address at present is none. Raises
   * WEBHOOK_ADDRESS_REFUSED.
   */
  check(url: string, signal: AbortSignal): Promise<void>
  /** Makes the secret of a new webhook. */
  newSecret(): string
  close(): void
}
