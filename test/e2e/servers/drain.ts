import { setTimeout as delay } from 'node:timers/promises'
import { checkStream, tradesFrom } from './checks.ts'
import type { Cluster } from './cluster.ts'
import { type Evidence, gatherEvidence } from './evidence.ts'
import type { ResumingClient } from './resuming-client.ts'

/** Nothing more is awaited once nothing has arrived for so long. */
const STILL_MS = 60_000
const LOOK_EVERY_MS = 250

/**
 * Stops the simulator and waits until all that was published is stored, derived into the streams and read. What does not arrive is for the
 * checks to name.
 */
export async function drain(
  cluster: Cluster,
  clients: readonly ResumingClient[],
  signal?: AbortSignal,
): Promise<Evidence> {
  await cluster.simulator.stop()
  for (let [most, since] = [-1, Date.now()]; ; ) {
    signal?.throwIfAborted()
    // To look takes long on a busy machine: what comes meanwhile is seen by the next look.
    const looked = Date.now()
    const evidence = await gatherEvidence(cluster)
    const arrived = countArrived(evidence, clients)
    if (arrived > most) [most, since] = [arrived, Date.now()]
    if (hasAll(evidence, clients) || looked - since > STILL_MS) return evidence
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}

function countArrived(evidence: Evidence, clients: readonly ResumingClient[]): number {
  const { stored, published, streams } = evidence
  const derived = [...streams.values()].map(({ topic }) => evidence.topic(topic)?.length ?? 0)
  const read = clients.map(({ count }) => count)
  return [stored.length, published.length, ...derived, ...read].reduce((sum, each) => sum + each)
}

function hasAll(evidence: Evidence, clients: readonly ResumingClient[]): boolean {
  return (
    evidence.stored.length >= evidence.published.length &&
    [...evidence.streams.values()].every(
      (stream) => stream.state !== 'ready' || checkStream(evidence, stream).length === 0,
    ) &&
    clients.every(({ stream, segments }) => {
      const { offset, keys } = segments.at(-1) ?? { offset: 0, keys: [] }
      return keys.length >= tradesFrom(evidence.topic(stream.topic) ?? [], offset).length
    })
  )
}
