/**
 * How this process stands to one partition that a group gives out (R7, R8).
 *
 *     unowned   the group gives it to another process, or to none
 *     claiming  the group gives it to this process, which claims it next
 *     held      claimed: this process writes it
 *     doubted   nobody knows what became of the last write of what was held: this process claims the partition anew before the next write
 *     yielded   another process took it, though the group gives it to this one: this one waits for a while, then claims it
 *
 * The group moves a partition from `unowned` to `claiming`, and from every state to `unowned`. A claim leads to `held`. A refused
 * claim leads to `yielded`; but a doubted partition stays doubted, and rests.
 */
export type Hold<Value, Former> =
  | { readonly state: 'unowned' }
  | { readonly state: 'claiming' }
  | Held<Value>
  /** `former`: what is still known of the value that was held. */
  | { readonly state: 'doubted'; readonly former: Former; readonly restsUntil: number }
  | { readonly state: 'yielded'; readonly restsUntil: number }

export interface Held<Value> {
  readonly state: 'held'
  readonly value: Value
  /** The generation of the assignment in which it was claimed. */
  readonly claimedIn: number
}

export const UNOWNED = { state: 'unowned' } as const
const CLAIMING = { state: 'claiming' } as const

/** A time that is always past: nothing rests until then. */
export const NO_REST = Number.NEGATIVE_INFINITY

/** Whether a partition is to be claimed now. */
export function isDue(hold: Hold<unknown, unknown>, now: number): boolean {
  if ('restsUntil' in hold) return now >= hold.restsUntil
  return hold.state === 'claiming'
}

/** The group gives the partition to this process once more: no other process has a right to it. */
export function givenAnew<Value, Former>(hold: Hold<Value, Former>): Hold<Value, Former> {
  if (hold.state === 'doubted') return { ...hold, restsUntil: NO_REST }
  return hold.state === 'held' ? hold : CLAIMING
}
