/** A record that could not be stored, as lists show it. */
export interface DeadLetter {
  /** `topic:partition:offset` of the refused record. */
  readonly id: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Why it was refused: a code of `errors.ts`, and in words. */
  readonly code: string
  readonly reason: string
  /** When the refused record was published, and when it was refused; ISO 8601. */
  readonly publishedAt: string
  readonly refusedAt: string
  /** Bytes of the refused record's value. */
  readonly size: number
  /** When it last entered again; null if it never has. */
  readonly replayedAt: string | null
}

/** A dead letter with what the refused record held. */
export interface DeadLetterContent extends DeadLetter {
  readonly key: string | null
  /** The schema version that the record named. */
  readonly version: number
  readonly fields: readonly { readonly field: string; readonly message: string }[]
  /** `utf8` where the bytes are text, else `base64`. */
  readonly encoding: 'utf8' | 'base64'
  readonly value: string
  /** Whether `value` is the whole record: of a large one only the beginning is kept. */
  readonly complete: boolean
}

export interface DeadLetterFilter {
  readonly topic?: string | undefined
  readonly code?: string | undefined
  /** Refused at or after, milliseconds since the epoch. */
  readonly since?: number | undefined
  /** `open`: it never entered again. Left out: both. */
  readonly state?: 'open' | 'replayed' | undefined
}

/**
 * What became of a letter that was to enter again.
 * - `replayed`: it lies in its fixed topic again, marked as entering again.
 * - `still-refused`: it was not published; `code` and `reason` say why.
 * - `unknown`: there is no such letter (any more).
 * - `not-owned`: no producer that owns its shard answered. Asking again is harmless.
 */
export interface ReentryResult {
  readonly id: string
  readonly outcome: 'replayed' | 'still-refused' | 'unknown' | 'not-owned'
  readonly code?: string | undefined
  readonly reason?: string | undefined
}

/**
 * The records that could not be stored, and their way back (R6, R14). Raises BROKER_UNAVAILABLE, TIMEOUT, CONTROL_UNAVAILABLE.
 * It knows the newest 50,000; older ones lie in the topic only.
 */
export interface DeadLetters {
  /** The newest first; `next` is the `before` of the next page. `total` counts all that fit the filter. */
  list(
    filter: DeadLetterFilter,
    page: { readonly limit: number; readonly before?: number | undefined },
    signal: AbortSignal,
  ): Promise<{
    readonly letters: readonly DeadLetter[]
    readonly total: number
    readonly next: number | null
  }>
  /** Raises DEAD_LETTER_UNKNOWN. */
  get(id: string, signal: AbortSignal): Promise<DeadLetterContent>
  /** Has letters enter again, and gives a result for each, in the order given. Asking twice never makes a second row. */
  reenter(ids: readonly string[], signal: AbortSignal): Promise<readonly ReentryResult[]>
  /** The same for the letters that fit the filter, the oldest first; `next` is the `from` of the next page. */
  reenterMatching(
    filter: DeadLetterFilter,
    page: { readonly limit: number; readonly from?: number | undefined },
    signal: AbortSignal,
  ): Promise<{ readonly results: readonly ReentryResult[]; readonly next: number | null }>
}
