import { type InspectionLink, type ProducerIdentity, whilePassing } from './inspection-link.ts'

/**
 * What is needed to ask a broker for its time: a topic whose readers pass over what is not committed, and a transactional id that nothing else
 * uses.
 */
export interface ClockUse {
  readonly topic: string
  readonly transactionalId: string
}

/**
 * How far the broker's clock is ahead of ours, in milliseconds; undefined where it does not tell. The record that it stamps
 * is in a transaction that is aborted.
 */
export async function clockDifference(
  link: InspectionLink,
  topic: string,
  transactionalId: string,
): Promise<number | undefined> {
  const identity = await begun(link, transactionalId)
  if (identity === undefined) return undefined
  try {
    if ((await whilePassing(() => link.addPartition(identity, topic))) !== 0) return undefined
    const before = Date.now()
    const stamped = await link.stamp(identity, topic, transactionalId)
    const middle = (before + Date.now()) / 2
    return stamped === -1 ? undefined : Math.round(stamped - middle)
  } finally {
    await whilePassing(() => link.endTransaction(identity))
  }
}

async function begun(link: InspectionLink, transactionalId: string): Promise<ProducerIdentity | undefined> {
  let identity: ProducerIdentity | undefined
  const code = await whilePassing(async () => {
    const begin = await link.begin(transactionalId)
    identity = begin
    return begin.errorCode
  })
  return code === 0 ? identity : undefined
}
