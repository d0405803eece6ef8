import type { Broadcast } from './distortion.ts'

/** Takes frames for one connection, in order. */
export interface Subscriber {
  enqueue(frames: string): void
}

/** What a subscription gives: first what is known, then what changes. */
export interface Feed extends Broadcast {
  /** The frames that a new subscriber gets first. What `update` gives later follows from them without a hole. */
  first(): string
  /** The frames of what has changed since the last time; empty where nothing has. */
  update(): string
  add(subscriber: Subscriber): void
  remove(subscriber: Subscriber): void
  readonly subscribed: boolean
}

/** The subscribers of a feed. */
export abstract class SharedFeed implements Feed {
  readonly #subscribers = new Set<Subscriber>()

  abstract first(): string
  abstract update(): string

  get subscribed(): boolean {
    return this.#subscribers.size > 0
  }

  add(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber)
  }

  remove(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber)
  }

  broadcast(frames: string): void {
    for (const subscriber of this.#subscribers) subscriber.enqueue(frames)
  }
}
