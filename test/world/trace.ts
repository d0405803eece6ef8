import type { VirtualClock } from './clock.ts'
import { WORLD_BEGIN_MS } from './clock.ts'

/** What happened in a world, in order: the same seed gives the same trace. */
export class Trace {
  readonly #clock: VirtualClock
  readonly #print: ((line: string) => void) | undefined
  #low = 0x811c9dc5
  #high = 0x9e3779b9
  #events = 0

  /** `print` gets every line. */
  constructor(clock: VirtualClock, print?: (line: string) => void) {
    this.#clock = clock
    this.#print = print
  }

  add(where: string, what: string): void {
    const line = this.#line(where, what)
    this.#events++
    for (let i = 0; i < line.length; i++) {
      this.#low = Math.imul(this.#low ^ line.charCodeAt(i), 0x01000193)
      this.#high = (Math.imul(this.#high, 31) + line.charCodeAt(i)) | 0
    }
    this.#print?.(line)
  }

  /** A line that is only shown, such as one of a log. */
  show(where: string, what: string): void {
    this.#print?.(this.#line(where, what))
  }

  #line(where: string, what: string): string {
    const seconds = ((this.#clock.now - WORLD_BEGIN_MS) / 1_000).toFixed(4)
    return `${seconds.padStart(9)} ${where.padEnd(8)} ${what}`
  }

  /** How many events, and a hash of them all. */
  digest(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')
    return `${this.#events}-${hex(this.#low)}${hex(this.#high)}`
  }
}
