import { until } from '../platform-process.ts'
import { checkStream, tradesFrom } from './checks.ts'
import type { Cluster } from './cluster.ts'
import { type Evidence, gatherEvidence } from './evidence.ts'
import type { ResumingClient } from './resuming-client.ts'

const DRAINED_MS = 60_000

/**
 * Stops the simulator and waits until all that was published is stored, derived into the streams and read. What does not arrive in time is for the
 * checks to name.
 */
export async function drain(
  cluster: Cluster,
  clients: readonly ResumingClient[],
  signal?: AbortSignal,
): Promise<Evidence> {
  await cluster.simulator.stop()
  let evidence: Evidence | undefined
  await until(
    'everything published has arrived',
    async () => {
      signal?.throwIfAborted()
      const found = await gatherEvidence(cluster)
      evidence = found
      return (
        found.stored.length >= found.published.length &&
        [...found.streams.values()].every(
          (stream) => stream.state !== 'ready' || checkStream(found, stream).length === 0,
        ) &&
        clients.every(({ stream, segments }) => {
          const { offset, keys } = segments.at(-1) ?? { offset: 0, keys: [] }
          return keys.length >= tradesFrom(found.topic(stream.topic) ?? [], offset).length
        })
      )
    },
    DRAINED_MS,
  ).catch((error: unknown) => {
    signal?.throwIfAborted()
    if (!(error instanceof Error && error.message.startsWith('waited'))) throw error
  })
  return evidence ?? gatherEvidence(cluster)
}
