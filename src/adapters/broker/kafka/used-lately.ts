/** What nobody looked at for this long is forgotten, at the latest after twice as long. */
const KEEP_MS = 3_600_000

/**
 * What is known and can be asked for again, by key: what nobody looks at any more goes, so that topics that others delete leave nothing
 * here. It is as large as what is in use.
 */
export class UsedLately<Value> {
  readonly #now: () => number
  #used = new Map<string, Value>()
  /** Not looked at since the last change of turns. */
  #unused = new Map<string, Value>()
  #turnedAt: number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#turnedAt = now()
  }

  get(key: string): Value | undefined {
    const used = this.#used.get(key)
    if (used !== undefined) return used
    const found = this.#unused.get(key)
    if (found === undefined) return undefined
    this.#unused.delete(key)
    this.#used.set(key, found)
    return found
  }

  set(key: string, value: Value): void {
    if (this.#now() - this.#turnedAt >= KEEP_MS) {
      this.#unused = this.#used
      this.#used = new Map()
      this.#turnedAt = this.#now()
    }
    this.#unused.delete(key)
    this.#used.set(key, value)
  }

  delete(key: string): void {
    this.#used.delete(key)
    this.#unused.delete(key)
  }
}
