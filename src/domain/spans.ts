/** With more than so many, it merges the half that is closest. */
const MOST_SPANS = 64

/** A set of numbers as intervals, ends included. It has all that was added, and perhaps more; its size is bounded. */
export class Spans {
  /** Sorted; no two closer than `reach`. */
  #spans: [low: number, high: number][]
  readonly #reach: number

  /** Numbers closer together than `reach` become one interval. */
  constructor(reach: number, spans: readonly (readonly [number, number])[] = []) {
    this.#reach = reach
    this.#spans = []
    for (const [low, high] of spans) this.add(low, high)
  }

  get isEmpty(): boolean {
    return this.#spans.length === 0
  }

  get list(): readonly (readonly [low: number, high: number])[] {
    return this.#spans
  }

  /** Whether any number of an interval, ends included, may be in the set. */
  has(low: number, high = low): boolean {
    for (let i = this.#spans.length - 1; i >= 0; i--) {
      const [from, to] = this.#spans[i] as [number, number]
      if (low > to) return false
      if (high >= from) return true
    }
    return false
  }

  add(low: number, high = low): void {
    const spans = this.#spans
    const latest = spans.at(-1)
    // As a rule the new interval is the latest.
    if (latest !== undefined && low >= latest[0] && low <= latest[1] + this.#reach) {
      latest[1] = Math.max(latest[1], high)
      return
    }
    if (latest === undefined || low > latest[1]) spans.push([low, high])
    else this.#insert(low, high)
    if (spans.length > MOST_SPANS) this.#mergeClosest()
  }

  #insert(low: number, high: number): void {
    const spans = this.#spans
    let at = spans.length
    while (at > 0 && (spans[at - 1] as [number, number])[1] + this.#reach >= low) at--
    let merged: [number, number] = [low, high]
    let end = at
    while (end < spans.length && (spans[end] as [number, number])[0] - this.#reach <= merged[1]) {
      const [otherLow, otherHigh] = spans[end] as [number, number]
      merged = [Math.min(merged[0], otherLow), Math.max(merged[1], otherHigh)]
      end++
    }
    spans.splice(at, end - at, merged)
  }

  /** Halves the intervals at once: merging one for each new interval would cost as much each time. */
  #mergeClosest(): void {
    const spans = this.#spans
    const distance = (i: number): number => (spans[i]?.[0] ?? 0) - (spans[i - 1]?.[1] ?? 0)
    const distances = spans.map((_, i) => distance(i)).slice(1)
    const limit = distances.toSorted((x, y) => x - y)[MOST_SPANS / 2] ?? 0
    const kept: [number, number][] = []
    spans.forEach(([low, high], i) => {
      const former = kept.at(-1)
      if (former !== undefined && distance(i) <= limit) former[1] = high
      else kept.push([low, high])
    })
    this.#spans = kept
  }
}
