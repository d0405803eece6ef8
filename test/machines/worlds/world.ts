import type { AnyEventObject } from 'xstate'
import type { Call } from '../bench.ts'

/** Everything around one machine: what it is sent, what its services answer, and what must hold meanwhile. */
export interface World<Context> {
  /** An event from outside. */
  command(choice: number): AnyEventObject
  /** What a service answers that succeeds. */
  answer(call: Call, choice: number): unknown
  /** Fails where something was lost. */
  check(context: Context): void
  /** From now on services answer so that work can end. */
  calm(): void
  /** An event that a machine may need to have work at all. */
  wake(): AnyEventObject | undefined
  /** Whether everything that waited is done, and the machine has worked since `calm`. */
  isDone(context: Context): boolean
}

export function pick<Item>(items: readonly Item[], choice: number): Item {
  const item = items[choice % items.length]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}
