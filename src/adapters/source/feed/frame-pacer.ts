import { startTimer, type Timer } from '../../../async/timers.ts'

const SECOND_MS = 1_000

/** Frames to a service that takes only so many a second: the first go at once, the others second by second. */
export class FramePacer {
  readonly #perSecond: number
  readonly #send: (frame: string) => void
  #waiting: string[] = []
  #left: number
  #timer: Timer | undefined

  constructor(perSecond: number, send: (frame: string) => void) {
    this.#perSecond = perSecond
    this.#left = perSecond
    this.#send = send
  }

  /** Those of the frames that may go at once; the others are sent later, in their order. */
  push(frames: readonly string[]): readonly string[] {
    this.#waiting.push(...frames)
    return this.#take()
  }

  /** Forgets what was not sent yet: the connection is another one. */
  clear(): void {
    this.#timer?.stop()
    this.#timer = undefined
    this.#waiting = []
    this.#left = this.#perSecond
  }

  #take(): readonly string[] {
    const now = this.#waiting.splice(0, this.#left)
    this.#left -= now.length
    if (now.length > 0)
      this.#timer ??= startTimer(() => {
        this.#timer = undefined
        this.#left = this.#perSecond
        for (const frame of this.#take()) this.#send(frame)
      }, SECOND_MS).unref()
    return now
  }
}
