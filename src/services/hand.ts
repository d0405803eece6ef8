import type { Carried } from '../ports/pipeline.ts'

/** Holds a batch from when it is given until it is done: whoever asks again in between, as after a RESET, gets the same batch. */
export interface Hand<T extends object> {
  readonly held: Carried<T> | undefined
  /** Hands out a batch. */
  give(batch: T): Carried<T>
  /** Gives up the batch that is held: its `done` changes nothing any more. */
  drop(): void
}

export function createHand<T extends object>(): Hand<T> {
  let held: Carried<T> | undefined
  /** Which batch is held: a late `done` of an earlier batch must not let it go. */
  let turn = 0
  const release = (ofTurn: number): void => {
    if (ofTurn === turn) held = undefined
  }
  return {
    get held() {
      return held
    },
    give(batch) {
      const mine = ++turn
      held = { ...batch, done: () => release(mine) }
      return held
    },
    drop: () => release(turn),
  }
}
