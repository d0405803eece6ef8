import { Spans } from './spans.ts'
import { finerTimes, isNumericId } from './trade-identity.ts'

export type Interval = readonly [low: number, high: number]

/** Times closer together than this are one interval, in microseconds. */
const TIME_REACH = 10_000_000

/** Where the ids and times of forgotten trades of a market lie. */
export class Forgotten {
  /** Values of numeric ids, as doubles: what a double rounds is in the interval too. */
  readonly ids: Spans
  /** Times, with those of finer precision that may be the same. */
  readonly times: Spans

  constructor(ids: readonly Interval[] = [], times: readonly Interval[] = []) {
    this.ids = new Spans(1, ids)
    this.times = new Spans(TIME_REACH, times)
  }

  copy(): Forgotten {
    return new Forgotten(this.ids.list, this.times.list)
  }

  add(id: string, ts: number): void {
    if (isNumericId(id)) this.ids.add(Number(id))
    this.times.add(...finerTimes(ts))
  }

  addAll({ ids, times }: Forgotten): void {
    for (const [low, high] of ids.list) this.ids.add(low, high)
    for (const [low, high] of times.list) this.times.add(low, high)
  }

  /** Whether a trade may be one of them. `ts`: microseconds. */
  mayHave({ id, ts }: { readonly id: string; readonly ts: number }): boolean {
    if (this.times.isEmpty || !this.times.has(...finerTimes(ts))) return false
    return !isNumericId(id) || this.ids.has(Number(id))
  }
}
