import { withDeadline } from '../async/deadline.ts'
import type { Channel } from '../domain/events.ts'
import type { StreamWarning } from '../domain/offer.ts'
import type { StreamRequest } from '../domain/stream-spec.ts'
import { toTapelineError } from '../errors.ts'
import type { Broker } from '../ports/broker.ts'
import type { Log } from '../ports/log.ts'
import type { GatewayOptions } from './options.ts'

/** What a stream that begins in the past cannot have, since its fixed topic does not keep it any more. */
export type BeyondKept = (
  request: Pick<StreamRequest, 'spec' | 'from'>,
  signal: AbortSignal,
) => Promise<readonly StreamWarning[]>

/** How long a look at the topic may hold up the answer for a stream, which stands by then. */
const LOOK_MS = 2_000
/** What was the oldest so long ago is near enough: many clients ask at once after a gateway's restart. */
const STANDS_MS = 10_000

/** Where the rows of a channel are that its topic does not keep. */
const ROUTES: Readonly<Partial<Record<Channel, string>>> = {
  trade: '/v1/trades',
  quote: '/v1/quotes',
  candle: '/v1/candles',
}

interface Parts {
  readonly broker: Pick<Broker, 'describeTopics' | 'openReader'>
  readonly fixedTopics: GatewayOptions['fixedTopics']
  readonly log: Log
}

/** A look is best effort: where the broker does not answer, nothing is said. */
export function createBeyondKept({ broker, fixedTopics, log }: Parts): BeyondKept {
  const known = new Map<string, { readonly at: number; readonly oldest: Promise<number> }>()

  const oldestOf = (topic: string, signal: AbortSignal): Promise<number> => {
    const last = known.get(topic)
    if (last !== undefined && performance.now() - last.at < STANDS_MS) return last.oldest
    const oldest = withDeadline(signal, LOOK_MS, (deadline) => oldestIn(broker, topic, deadline))
    known.set(topic, { at: performance.now(), oldest })
    oldest.catch(() => known.delete(topic))
    return oldest
  }

  return async ({ spec, from }, signal) => {
    if (typeof from !== 'number') return []
    try {
      const oldest = await oldestOf(fixedTopics[spec.channel], signal)
      return from < oldest ? [warningOf(spec, from, oldest)] : []
    } catch (error) {
      log.debug(
        { code: toTapelineError(error).code, topic: fixedTopics[spec.channel] },
        'the oldest record is not known',
      )
      return []
    }
  }
}

function warningOf(
  { channel, interval }: StreamRequest['spec'],
  from: number,
  oldest: number,
): StreamWarning {
  const route = ROUTES[interval === undefined ? channel : 'candle']
  const since = new Date(oldest).toISOString()
  const rest =
    route === undefined
      ? ''
      : `: read what is older with GET ${route}, page by page${
          channel === 'candle' || interval !== undefined
            ? ''
            : ', or both in one loop with client.since of tapeline/client'
        }`
  return {
    field: 'from',
    value: new Date(from).toISOString(),
    message: `the topics keep only what was published since ${since}${rest}`,
    near: [since],
  }
}

/**
 * From when on a topic has everything that was published (milliseconds): the latest of the first records of those partitions that
 * have lost some already. 0 where none has.
 */
async function oldestIn(broker: Parts['broker'], topic: string, signal: AbortSignal): Promise<number> {
  const [description] = await broker.describeTopics([topic], signal)
  const cut = (description?.offsets ?? []).flatMap(({ earliest, end }, partition) =>
    earliest > 0 ? [{ topic, partition, offset: earliest, isEmpty: earliest === end }] : [],
  )
  if (cut.length === 0) return 0
  if (cut.some(({ isEmpty }) => isEmpty)) return Date.now()
  const firsts = new Map<number, number>()
  const reader = await broker.openReader(signal)
  try {
    await reader.assign(cut, signal)
    while (firsts.size < cut.length) {
      for (const fetch of await reader.poll({ maxRecords: cut.length, waitMs: 100 }, signal)) {
        if (fetch.kind !== 'records' || firsts.has(fetch.partition)) continue
        const [first] = fetch.records
        if (first !== undefined) firsts.set(fetch.partition, first.timestamp)
      }
      signal.throwIfAborted()
    }
  } finally {
    await reader.close(signal)
  }
  return Math.max(...firsts.values())
}
