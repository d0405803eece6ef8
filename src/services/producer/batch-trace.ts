import type { RecordHeaders } from '../../domain/record.ts'
import type { PublishOutcome } from '../../ports/pipeline.ts'
import type { SourceBatch } from '../../ports/source.ts'
import type { Span, TraceContext } from '../../ports/trace.ts'
import type { ProducerParts } from './parts.ts'

/** A step of a batch that is traced, under way. */
interface Step {
  readonly context: TraceContext
  readonly parent: TraceContext
  /** Microseconds since the epoch. */
  readonly start: number
  /** Records that share headers share these too: brokers encode them once. */
  readonly headers: Map<RecordHeaders, RecordHeaders>
}

/** Follows the batches of the producer that are traced: to the fixed topics, and from there to the dynamic ones. */
export interface BatchTrace {
  /** A batch begins its way. */
  begin(data: SourceBatch): void
  /** The headers of its records. */
  publishing(headers: RecordHeaders): RecordHeaders
  /** It lies in the fixed topics. */
  published(outcome: Omit<PublishOutcome, 'dynamicWaiting'>): void
  /** What was published is derived from now on. */
  beginDeriving(): void
  deriving(headers: RecordHeaders): RecordHeaders
  /** It lies in the dynamic topics. */
  derived(outcome: Omit<PublishOutcome, 'dynamicWaiting'>): void
}

export function createBatchTrace({
  tracer,
  now,
  source,
}: Pick<ProducerParts, 'tracer' | 'now' | 'source'>): BatchTrace {
  let publish: Step | undefined
  /** The last batch that was published and is not derived yet. */
  let waiting: TraceContext | undefined
  let derive: Step | undefined

  const micros = (): number => now() * 1_000
  const follow = (parent: TraceContext | undefined): Step | undefined =>
    tracer && parent !== undefined
      ? { context: tracer.follow(parent), parent, start: micros(), headers: new Map() }
      : undefined
  const traced = (step: Step | undefined, headers: RecordHeaders): RecordHeaders => {
    if (step === undefined) return headers
    const known = step.headers.get(headers) ?? { ...headers, trace: step.context }
    // Headers with a position are each record's own.
    if (headers.position === undefined) step.headers.set(headers, known)
    return known
  }
  const end = (
    step: Step,
    name: Span['name'],
    { topics, records }: Omit<PublishOutcome, 'dynamicWaiting'>,
  ): void => {
    const { context, parent, start } = step
    const attributes = { 'messaging.destination.name': topics.slice(0, MOST_TOPICS).join(' '), records }
    tracer?.end({ context, parent, name, kind: 'producer', start, end: micros(), attributes })
  }

  return {
    begin(data) {
      publish = undefined
      if (tracer === undefined) return
      const received = receivedAt(data)
      const context = received === undefined ? undefined : tracer.sample()
      if (received === undefined || context === undefined) return
      const attributes = { 'tapeline.source': source.name, events: data.items.length }
      const about = { context, name: 'receive', kind: 'consumer' } as const
      tracer.end({ ...about, start: received, end: micros(), attributes })
      publish = follow(context)
    },
    publishing: (headers) => traced(publish, headers),
    published(outcome) {
      if (publish === undefined) return
      end(publish, 'publish', outcome)
      waiting = publish.context
      publish = undefined
    },
    beginDeriving() {
      if (waiting === undefined) return
      derive = follow(waiting)
      waiting = undefined
    },
    deriving: (headers) => traced(derive, headers),
    derived(outcome) {
      if (derive !== undefined && outcome.records > 0) end(derive, 'derive', outcome)
      derive = undefined
    },
  }
}

/** So many topics are named. */
const MOST_TOPICS = 10

/** When the first event of a batch came from its source. */
function receivedAt({ items }: SourceBatch): number | undefined {
  for (const item of items)
    if ('event' in item && 'recvTs' in item.event && item.reentering !== true) return item.event.recvTs
  return undefined
}
