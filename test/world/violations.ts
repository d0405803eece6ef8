/** The promises that a world checks. */
export type Promised =
  | 'trade lost'
  | 'trade twice'
  | 'item dropped'
  | 'rows'
  | 'dead letter'
  | 'dynamic topic'
  | 'application'
  | 'registry'
  | 'actor stuck'
  | 'not shown'
  | 'held up'
  | 'leak'
  | 'foreign'
  | 'request'
  | 'crash'
  | 'spins'

/** A promise that was not kept. */
export interface Violation {
  readonly promise: Promised
  readonly detail: string
}
