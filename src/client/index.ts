/** The client of Tapeline, for Node and browsers. Source: docs/clients.md. */
export { foldBook } from '../domain/book-levels.ts'
export type { Book, BookDoubt, Candle, Channel, Quote, Status, Trade } from '../domain/events.ts'
export {
  type Client,
  type ClientOptions,
  createClient,
  type ResumeRequest,
  type StreamsApi,
  type WebhooksApi,
} from './client.ts'
export type { Rows } from './history.ts'
export { ApiError } from './http.ts'
export type { JoinedRequest } from './joined.ts'
export type { Stream } from './stream.ts'
export type * from './types.ts'
