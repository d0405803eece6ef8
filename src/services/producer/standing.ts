import { CONTROL_VERSION } from '../../control/records.ts'
import { askCoordinator } from '../../control/stream-desk.ts'
import { specKey } from '../../domain/stream-spec.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { TopicAnswer } from '../../ports/pipeline.ts'
import type { ProducerParts } from './parts.ts'

/** Who owns the streams of the configuration. */
const STANDING_APP = 'standing'

/** How long a request waits for its reply before data goes on (R2). */
const REPLY_WAIT_MS = 1_000

/**
 * Asks the coordinator for the topic of a standing stream (CREATE_TOPIC_REQUEST). The stream's name is the id of its lease, and
 * a request without an answer keeps its id: asking again is harmless. A stream whose spec has changed is ended first.
 */
export function createStandingStreams({ registry, bus, instance, standing, newId }: ProducerParts): {
  create(name: string, signal: AbortSignal): Promise<TopicAnswer>
} {
  const open = new Map<string, string>()
  return {
    async create(name, signal) {
      const request = standing.get(name)
      if (!request) throw new TapelineError('STREAM_UNKNOWN', `the configuration has no stream named ${name}`)
      const lease = registry.view.lease(name)
      if (lease && specKey(lease.spec) === specKey(request.spec))
        return { topicName: name, outcome: 'created' }
      const author = { v: CONTROL_VERSION, instance } as const
      const requestId = open.get(name) ?? newId()
      open.set(name, requestId)
      try {
        if (lease) {
          const ending = {
            ...author,
            kind: 'END_LEASE_REQUEST',
            requestId: newId(),
            leaseId: name,
            app: STANDING_APP,
          } as const
          await askCoordinator(bus, ending, registry, signal, REPLY_WAIT_MS)
        }
        const { channel, symbols, exchanges } = request.spec
        await askCoordinator(
          bus,
          {
            ...author,
            kind: 'CREATE_TOPIC_REQUEST',
            requestId,
            leaseId: name,
            app: STANDING_APP,
            spec: { channel, symbols: [...symbols], exchanges: [...exchanges] },
            ttlMs: 0,
            standing: true,
          },
          registry,
          signal,
          REPLY_WAIT_MS,
        )
        open.delete(name)
        return { topicName: name, outcome: 'created' }
      } catch (error) {
        if (toTapelineError(error).code !== 'CONTROL_UNAVAILABLE') throw error
        return { topicName: name, outcome: 'open' }
      }
    },
  }
}
