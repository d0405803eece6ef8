import type { MaintenanceRequest } from './protocol.ts'

/** What the database may have grown by since it was opened before that is worth a second's pause. */
const WORTHWHILE_BYTES = 128 * 1024 * 1024
/** How many looks long, one a second, it has not been busy and has not grown. */
const QUIET_LOOKS = 60
/** So many looks lie between two times: who asks for much again and again is not made to wait again and again. */
const APART_LOOKS = 600

/**
 * Tells when the database is to be opened anew for the sake of its memory: that of WebAssembly grows with the largest statement and never
 * shrinks.
 */
export class MemoryWatch {
  /** What it had when it was opened; undefined until it is looked at. */
  #opened: number | undefined
  #largest = 0
  #quiet = 0
  #looks = APART_LOOKS

  /** Takes in what the database holds, and how busy it is; gives whether it is to be opened anew. */
  look(bytes: number, load: MaintenanceRequest['load']): boolean {
    this.#looks++
    this.#opened ??= bytes
    if (load === 'busy' || bytes > this.#largest) this.#quiet = 0
    else this.#quiet++
    this.#largest = Math.max(this.#largest, bytes)
    const isLarge = bytes - this.#opened >= WORTHWHILE_BYTES
    return isLarge && this.#quiet >= QUIET_LOOKS && this.#looks > APART_LOOKS
  }

  /** It was opened anew, for whatever reason: what it had before says nothing any more. */
  reopened(): void {
    this.#opened = undefined
    this.#largest = 0
    this.#quiet = 0
  }

  /** It was opened anew for the sake of its memory. */
  renewed(): void {
    this.reopened()
    this.#looks = 0
  }
}
