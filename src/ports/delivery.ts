import type { AppEndpoint } from './transport.ts'

/** One endpoint's subscriptions. The endpoint gets failures as `error` messages; nothing is thrown. */
export interface Connection {
  /** Starts delivery of a lease: from its cursor where one is given, else from what comes next. */
  subscribe(leaseId: string, cursor?: string): void
  unsubscribe(leaseId: string): void
  /** The endpoint has gone. */
  close(): void
}

/** Delivers dynamic topics to endpoints, by consumerDynamic machines. */
export interface Delivery {
  /** `actor`: whose machine serves the endpoint; by default all endpoints of an application share one (R12). */
  connect(app: string, endpoint: AppEndpoint, actor?: string): Connection
}
