import type { Feed } from '../feed.ts'
import type { Market } from '../market.ts'
import type { Dialect, Topic } from './dialect.ts'

/** What an exchange of the simulator tells, wherever that comes from. */
export interface ServedExchange {
  readonly dialect: Dialect
  /** Whether it has a market of this name. */
  has(name: string): boolean
  /** The feed of a topic, and the market whose walk begins with its first follower, where it has one; undefined where there is none. */
  find(topic: Topic): { readonly feed: Feed; readonly market?: Market } | undefined
  /** The answer to a question by REST; undefined where there is none. */
  rest(url: URL): unknown
}
