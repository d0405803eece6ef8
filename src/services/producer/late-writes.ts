import { readRanges } from '../../control/read-range.ts'
import type { Broker } from '../../ports/broker.ts'

/** A range of a fixed partition, after what its owner wrote and before what was acknowledged next. */
interface Between {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly end: number
}

/**
 * Whether all records in a range are of lower epochs: a former owner stood still, or its request was late on its way. They count for no
 * reader, and the owner goes on after them (R8).
 */
export async function isOfFormerOwners(
  broker: Broker,
  range: Between,
  epoch: number,
  signal: AbortSignal,
): Promise<boolean> {
  let isLate = range.offset < range.end
  const doubt = (): void => {
    isLate = false
  }
  await readRanges(
    broker,
    [range],
    ({ records }) => {
      for (const { headers } of records) if ((headers.epoch ?? epoch) >= epoch) doubt()
    },
    signal,
    doubt,
    doubt,
  )
  return isLate
}
