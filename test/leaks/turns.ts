import { setImmediate as afterPromises } from 'node:timers/promises'

/** Lets a loop that works for ever turn so many times, and then wait. */
export class Turns {
  #left = 0
  #more = Promise.withResolvers<void>()

  /** One turn of the loop: waits for leave to take it. */
  async take(): Promise<void> {
    while (this.#left === 0) await this.#more.promise
    this.#left--
  }

  /** Resolves when the loop has turned so often. */
  async run(count: number): Promise<void> {
    this.#left = count
    this.#more.resolve()
    this.#more = Promise.withResolvers()
    while (this.#left > 0) await afterPromises()
  }
}
