import { z } from 'zod'
import type { Conversation, Line } from './connection.ts'
import type { Subscription } from './feeds.ts'
import * as messages from './messages.ts'

const Request = z.object({ action: z.enum(['SubAdd', 'SubRemove']), subs: z.array(z.string()).min(1) })

/** Finds the feeds of a SubAdd, and begins the walks that are not yet on. */
type Subscribe = (subscription: string) => Subscription | undefined

/** One client of CryptoCompare's WebSocket v2: its subscriptions and its heartbeats. */
export class CryptoCompareConversation implements Conversation {
  readonly #line: Line
  readonly #subscribe: Subscribe

  constructor(subscribe: Subscribe, line: Line) {
    this.#subscribe = subscribe
    this.#line = line
  }

  received(text: string | undefined): void {
    const request = text === undefined ? undefined : parseJson(text)
    if (request === undefined) this.#line.enqueue(messages.serverError('INVALID_JSON', 'message'))
    else this.#serve(request)
  }

  beat(now: number): string {
    return messages.heartbeat(now)
  }

  slow(): string {
    return messages.serverError('FORCE_DISCONNECT', 'pong')
  }

  #serve(request: unknown): void {
    const parsed = Request.safeParse(request)
    if (!parsed.success) {
      const parameter = String(parsed.error.issues[0]?.path[0] ?? 'message')
      this.#line.enqueue(messages.serverError('INVALID_PARAMETER', parameter))
      return
    }
    const { action, subs } = parsed.data
    if (action === 'SubAdd') this.#add(subs)
    else this.#remove(subs)
  }

  #add(subs: readonly string[]): void {
    const room = messages.SUBSCRIPTIONS_PER_SOCKET - this.#line.followed
    for (const sub of subs.slice(0, room)) this.#addOne(sub)
    const first = subs[room]
    if (first !== undefined) this.#line.enqueue(messages.tooManySubscriptions(first))
    this.#line.enqueue(messages.loadComplete())
  }

  #addOne(sub: string): void {
    if (this.#line.follows(sub)) {
      this.#line.enqueue(messages.serverError('SUBSCRIPTION_ALREADY_ACTIVE', sub))
      return
    }
    const found = this.#subscribe(sub)
    if (!found) {
      this.#line.enqueue(messages.serverError('INVALID_SUB', sub))
      return
    }
    this.#line.enqueue(found.feed.first())
    this.#line.follow(sub, found.feed)
    this.#line.enqueue(messages.subscribeComplete(sub))
  }

  #remove(subs: readonly string[]): void {
    let valid = 0
    for (const sub of subs) {
      if (!this.#line.leave(sub)) {
        this.#line.enqueue(messages.serverError('SUBSCRIPTION_UNRECOGNIZED', sub))
        continue
      }
      valid++
      this.#line.enqueue(messages.unsubscribeComplete(sub))
    }
    this.#line.enqueue(messages.unsubscribeAllComplete(valid, subs.length - valid))
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: the client is told so.
    return undefined
  }
}
