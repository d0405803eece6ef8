import type { MaintenanceRequest } from './protocol.ts'

const BUSY = 0.5
const LIGHT = 0.1

/** How much of the time the database works for others, over about the last few ticks. */
export class LoadMeter {
  #workedMs = 0
  #share = 0
  #tickedAt = performance.now()

  add(milliseconds: number): void {
    this.#workedMs += milliseconds
  }

  /** By the last tick. */
  get level(): MaintenanceRequest['load'] {
    if (this.#share > BUSY) return 'busy'
    return this.#share > LIGHT ? 'light' : 'idle'
  }

  /** Half of the former value and half of what was measured since the last call. */
  tick(): MaintenanceRequest['load'] {
    const now = performance.now()
    const elapsed = Math.max(1, now - this.#tickedAt)
    this.#share = (this.#share + this.#workedMs / elapsed) / 2
    this.#workedMs = 0
    this.#tickedAt = now
    return this.level
  }
}
