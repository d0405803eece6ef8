import type { Writable } from 'node:stream'

type Corked = Pick<Writable, 'cork' | 'uncork'>

let turn = 0
let isUnderWay = false
const corked: Corked[] = []

/** The turn of the event loop that is under way, by a number that rises: it ends when all that is due now has run. */
export function turnOfLoop(): number {
  if (!isUnderWay) {
    isUnderWay = true
    turn++
    process.nextTick(endTurn)
  }
  return turn
}

/** Has a stream gather what is written to it until the turn ends. `turnOfLoop` was called in the same turn. */
export function uncorkAtEndOfTurn(stream: Corked): void {
  stream.cork()
  corked.push(stream)
}

function endTurn(): void {
  isUnderWay = false
  for (const stream of corked.splice(0)) stream.uncork()
}
