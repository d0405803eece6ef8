import type { GapCause, Status } from './events.ts'
import { marketKey } from './events.ts'

/** What may be missing of a market: event times in microseconds, ends included. */
export interface OpenGap {
  readonly exchange: string
  readonly symbol: string
  readonly from: number
  readonly to: number
  /** Records of earlier versions have none. */
  readonly cause?: GapCause | undefined
}

/** What is left of the gaps of markets once what is `recovered` is taken out of them: by market, the oldest first. */
export function openGaps(statuses: Iterable<Status>): readonly OpenGap[] {
  const gaps: OpenGap[] = []
  const recovered = new Map<string, [from: number, to: number][]>()
  for (const { exchange, symbol, state, from, to, cause } of statuses) {
    if (symbol === undefined || from === undefined || to === undefined) continue
    if (state === 'gap') gaps.push({ exchange, symbol, from, to, cause })
    if (state !== 'recovered') continue
    const key = marketKey({ exchange, symbol })
    recovered.set(key, [...(recovered.get(key) ?? []), [from, to]])
  }
  const left = gaps.flatMap((gap) => without(gap, recovered.get(marketKey(gap)) ?? []))
  return left.toSorted((a, b) => a.from - b.from || a.to - b.to)
}

/** A gap without what is recovered of it. Its ends are trades that are there, so that nothing is left of a moment. */
function without(gap: OpenGap, recovered: readonly (readonly [number, number])[]): readonly OpenGap[] {
  let left = [gap]
  for (const [from, to] of recovered) {
    left = left.flatMap((each) => {
      if (to < each.from || from > each.to) return [each]
      const before = from > each.from ? [{ ...each, to: from }] : []
      const after = to < each.to ? [{ ...each, from: to }] : []
      return [...before, ...after]
    })
  }
  return left
}
