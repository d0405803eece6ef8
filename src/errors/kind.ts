/** What is known of an error code in general; what one occurrence adds stands in the error itself. */
export interface ErrorKind {
  /** Whether the same attempt may succeed later without a person doing anything. */
  readonly retryable: boolean
  /** HTTP status when the error reaches an application. */
  readonly status: number
  /** What the error means, for `docs/errors.md`. */
  readonly meaning: string
  /** What a user can do, unless the occurrence says something more precise. */
  readonly remedy: string
}
