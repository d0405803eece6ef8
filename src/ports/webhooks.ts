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
  /**
   * Tries once. `mayGo` is asked once the receiver is connected, right before the message goes out: where it may not any more nothing is sent, and the answer is
   * `held`. Rejects with the signal's reason only.
   */
  send(
    receiver: WebhookReceiver,
    message: WebhookMessage,
    mayGo: () => boolean,
    signal: AbortSignal,
  ): Promise<WebhookAnswer | { readonly kind: 'held' }>
  /**
   * Refuses an address that no message would ever be sent to. A name without an address at present is none. Raises
   * WEBHOOK_ADDRESS_REFUSED.
   */
  check(url: string, signal: AbortSignal): Promise<void>
  /** Makes the secret of a new webhook. */
  newSecret(): string
  close(): void
}

/** What an application asked for. */
export interface WebhookRequest extends WebhookReceiver {
  readonly app: string
  /** The lease that it reads. */
  readonly leaseId: string
  /** The most events of one message. */
  readonly maxEvents: number
  /** How long an event may wait for others that go with it, in milliseconds. */
  readonly maxWaitMs: number
  /** Where it begins. */
  readonly cursor: string
}

/** A webhook and how it fares, without its secret. Times in milliseconds since the epoch. */
export interface Webhook extends Omit<WebhookRequest, 'secret' | 'cursor'> {
  readonly id: string
  readonly createdAt: number
  /**
   * - `active`: it sends what comes.
   * - `failing`: its receiver fails, and it tries again.
   * - `paused`: by a command, after failures for too long, or because the receiver is gone; a command resumes it.
   * - `ended`: its stream has ended, and its receiver has heard so.
   */
  readonly state: 'active' | 'failing' | 'paused' | 'ended'
  /** Why it fails, or is paused by itself; null where neither is so. */
  readonly failure: {
    readonly code: string
    readonly message: string
    readonly since: number
    readonly attempts: number
  } | null
  /** When its receiver last took something; null: never. */
  readonly deliveredAt: number | null
}

/** How applications get webhooks: requests go to the coordinator, answers come from the registry and from who serves them. */
export interface WebhookDesk {
  /**
   * Makes a webhook; the asker makes its id, so that asking again is harmless. Raises STREAM_UNKNOWN, WEBHOOK_LIMIT, CONTROL_UNAVAILABLE.
   */
  create(id: string, request: WebhookRequest, signal: AbortSignal): Promise<Webhook>
  /** Raises WEBHOOK_UNKNOWN, CONTROL_UNAVAILABLE. */
  change(id: string, app: string, change: 'pause' | 'resume' | 'end', signal: AbortSignal): Promise<void>
  /** Those of one application if it is named, else all. Raises BROKER_UNAVAILABLE. */
  list(app: string | undefined, signal: AbortSignal): Promise<readonly Webhook[]>
  /** Also one that another process has just got. Raises CONTROL_UNAVAILABLE, BROKER_UNAVAILABLE. */
  find(id: string, signal: AbortSignal): Promise<Webhook | undefined>
  /** The application of a webhook that this process knows. */
  ownerOf(id: string): string | undefined
}
