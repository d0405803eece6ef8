import type { AppEndpoint } from './transport.ts'

/**
 * What becomes of a connection that takes less than comes, once its buffer is full: it gets all from the log, at its pace; it gets the latest of
 * each market, and how many events were left out; or it is ended, to come back with its cursor.
 */
export const SLOW_CHOICES = ['catch-up', 'latest', 'disconnect'] as const
export type SlowChoice = (typeof SLOW_CHOICES)[number]

/** One endpoint's subscriptions. The endpoint gets failures as `error` messages; nothing is thrown. */
export interface Connection {
  /** Starts delivery of a lease: from its cursor where one is given, else from what comes next. */
  subscribe(leaseId: string, cursor?: string, slow?: SlowChoice): void
  unsubscribe(leaseId: string): void
  /** The endpoint has gone. */
  close(): void
}

/** Delivers dynamic topics to endpoints, by consumerDynamic machines. */
export interface Delivery {
  /** `actor`: whose machine serves the endpoint; by default all endpoints of an application share one (R12). */
  connect(app: string, endpoint: AppEndpoint, actor?: string): Connection
}
