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

  *values(): Generator<Value> {
    yield* this.#used.values()
    yield* this.#unused.values()
  }

  /** Takes note of a value, and forgets what nobody looked at, if it is time. */
  set(key: string, value: Value): void {
    this.turn()
    this.put(key, value)
  }

  /** Takes note of a value, and forgets nothing. */
  put(key: string, value: Value): void {
    this.#unused.delete(key)
    this.#used.set(key, value)
  }

  /** Forgets what nobody looked at and nothing holds, if it is time to look. Gives whether there was any. */
  turn(isHeld: (value: Value) => boolean = () => false): boolean {
    if (this.#now() - this.#turnedAt < KEEP_MS) return false
    this.#turnedAt = this.#now()
    const kept = [...this.#unused].filter(([, value]) => isHeld(value))
    const isAnyGone = kept.length < this.#unused.size
    this.#unused = new Map([...kept, ...this.#used])
    this.#used = new Map()
    return isAnyGone
  }

  delete(key: string): void {
    this.#used.delete(key)
    this.#unused.delete(key)
  }
}
