import { CONTROL_VERSION } from '../../control/record-format.ts'
import { askForLease } from '../../control/stream-desk.ts'
import { specKey } from '../../domain/stream-spec.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { TopicAnswer } from '../../ports/pipeline.ts'
import type { ProducerParts } from './parts.ts'

/** Who owns the streams of the configuration. */
const STANDING_APP = 'standing'

/** How long a request waits for its reply before data goes on (R2). */
const REPLY_WAIT_MS = 1_000

/** How long data waits for the topics of standing streams at the most, from the first fetch on. */
const BEFORE_DATA_MS = 10_000

/**
 * Asks the coordinator for the topic of a standing stream (CREATE_TOPIC_REQUEST). The stream's name is the id of its lease, and a request
 * without an answer keeps its id: asking again is harmless. Where the spec of a stream has changed, the former lease ends first.
 */
export function createStandingStreams(producer: ProducerParts): {
  create(name: string, signal: AbortSignal): Promise<TopicAnswer>
  /**
   * Whether data may go on: all standing streams stand, so that they miss nothing, or data has waited long enough for their topics.
   */
  stand(): boolean
} {
  const { registry, bus, instance, standing, newId, now, log } = producer
  const open = new Map<string, string>()
  const missing = new Set(standing.keys())
  let firstAskedAt: number | undefined

  const stands = (name: string): boolean => {
    const lease = registry.view.lease(name)
    return lease !== undefined && specKey(lease.spec) === specKey(standing.get(name)?.spec ?? lease.spec)
  }

  return {
    stand() {
      for (const name of missing) if (stands(name)) missing.delete(name)
      if (missing.size === 0) return true
      firstAskedAt ??= now()
      if (now() - firstAskedAt < BEFORE_DATA_MS) return false
      log.warn({ streams: [...missing] }, 'standing streams do not stand yet: they begin later than the data')
      missing.clear()
      return true
    },
    async create(name, signal) {
      const request = standing.get(name)
      if (!request) throw new TapelineError('STREAM_UNKNOWN', `the configuration has no stream named ${name}`)
      if (stands(name)) return { topicName: name, outcome: 'created' }
      const lease = registry.view.lease(name)
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
          await askForLease(bus, ending, registry, signal, REPLY_WAIT_MS)
        }
        await askForLease(
          bus,
          {
            ...author,
            kind: 'CREATE_TOPIC_REQUEST',
            requestId,
            leaseId: name,
            app: STANDING_APP,
            spec: request.spec,
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
