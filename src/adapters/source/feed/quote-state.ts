import type { Quote } from '../../../domain/events.ts'

/** What a source says of a market's prices; absent where it says nothing new. */
export type QuoteFields = Pick<Quote, 'bid' | 'bidSize' | 'ask' | 'askSize' | 'last' | 'volume24h'>

const FIELDS = ['bid', 'bidSize', 'ask', 'askSize', 'last', 'volume24h'] as const

/** The latest known quote of one market, merged from updates that name only what changed. */
export class QuoteState {
  #fields: { -readonly [K in keyof QuoteFields]: QuoteFields[K] } = {}

  /** Merges an update; gives all fields known now, or undefined where nothing changed. */
  merge(update: QuoteFields): QuoteFields | undefined {
    let changed = false
    for (const field of FIELDS) {
      const value = update[field]
      if (value === undefined || value === this.#fields[field]) continue
      this.#fields = { ...this.#fields, [field]: value }
      changed = true
    }
    return changed ? this.#fields : undefined
  }
}
