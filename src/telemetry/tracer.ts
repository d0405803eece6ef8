import { randomBytes } from 'node:crypto'
import { orAfter } from '../async/deadline.ts'
import { startInterval, startTimer } from '../async/timers.ts'
import type { Log, Meter } from '../ports/log.ts'
import type { Span, TraceContext, Tracer } from '../ports/trace.ts'

interface TracerOptions {
  /** Address of a collector, to which `/v1/traces` is added; undefined: spans are logged only. */
  readonly endpoint: string | undefined
  readonly headers: Readonly<Record<string, string>>
  /** One batch in so many is traced. */
  readonly sampleEvery: number
  /** What all spans say of this process. */
  readonly resource: Readonly<Record<string, string>>
  readonly log: Log
  readonly meter: Meter
}

/** A tracer that is closed once its last spans were sent, or could not be. */
export interface RunningTracer extends Tracer {
  close(): Promise<void>
}

const SEND_EVERY_MS = 1_000
const ANSWER_MS = 5_000
/** How long the last spans may take at the end. */
const CLOSE_MS = 1_000
/** So many wait for a collector that is away; further ones are left out and counted. */
const MOST_WAITING = 4_096
const MOST_IN_REQUEST = 512
/** After a failure the collector is left alone for so long. */
const REST_MS = 10_000

/** Numbers of kinds and types as OTLP has them. Source: https://github.com/open-telemetry/opentelemetry-proto */
const KINDS = { producer: 4, consumer: 5 } as const

/** Sends spans to an OpenTelemetry collector (OTLP over HTTP, JSON), and logs them for debugging. A collector that is away costs spans, and nothing else. */
export function createTracer(options: TracerOptions): RunningTracer {
  const { endpoint, headers, sampleEvery, resource, log, meter } = options
  const address = endpoint === undefined ? undefined : `${endpoint.replace(/\/$/, '')}/v1/traces`
  const closing = new AbortController()
  let waiting: Span[] = []
  let batches = 0
  let restsUntil = 0
  let isFailing = false
  let sending: Promise<void> | undefined

  const drop = (count: number): void => {
    if (count > 0) meter.count('trace_spans_total', count, { outcome: 'dropped' })
  }

  const post = async (spans: readonly Span[]): Promise<void> => {
    const signal = orAfter(closing.signal, ANSWER_MS)
    const response = await fetch(address ?? '', {
      ...{ method: 'POST', redirect: 'error', signal },
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(requestOf(spans, resource)),
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`the collector answered ${response.status}`)
  }

  const send = async (): Promise<void> => {
    while (waiting.length > 0) {
      const spans = waiting.splice(0, MOST_IN_REQUEST)
      try {
        await post(spans)
        meter.count('trace_spans_total', spans.length, { outcome: 'sent' })
        if (isFailing) log.warn({}, 'traces are sent again')
        isFailing = false
      } catch (error) {
        drop(spans.length)
        restsUntil = performance.now() + REST_MS
        if (!isFailing) log.warn({ reason: reasonOf(error) }, 'traces are not sent')
        isFailing = true
        return
      }
    }
  }

  const sendIfDue = (): void => {
    if (waiting.length === 0 || performance.now() < restsUntil) return
    sending ??= send().finally(() => {
      sending = undefined
    })
  }
  const timer = address === undefined ? undefined : startInterval(sendIfDue, SEND_EVERY_MS).unref()

  return {
    sample: () => (batches++ % sampleEvery === 0 ? contextOf(randomBytes(16).toString('hex')) : undefined),
    follow: (parent) => contextOf(traceIdOf(parent)),
    end(span) {
      const { context, name, attributes, start, end } = span
      log.debug({ trace: traceIdOf(context), hop: name, ms: (end - start) / 1_000, ...attributes }, 'hop')
      if (address === undefined) return
      if (waiting.length >= MOST_WAITING) drop(1)
      else waiting.push(span)
    },
    async close() {
      timer?.stop()
      const limit = startTimer(() => closing.abort(), CLOSE_MS)
      await sending
      if (!isFailing) await send()
      limit.stop()
      drop(waiting.length)
      waiting = []
    },
  }
}

function contextOf(traceId: string): TraceContext {
  return `00-${traceId}-${randomBytes(8).toString('hex')}-01`
}

function traceIdOf(context: TraceContext): string {
  return context.slice(3, 35)
}

function spanIdOf(context: TraceContext): string {
  return context.slice(36, 52)
}

function requestOf(spans: readonly Span[], resource: TracerOptions['resource']): object {
  const scopeSpans = [{ scope: { name: 'tapeline' }, spans: spans.map(wireOf) }]
  return { resourceSpans: [{ resource: { attributes: attributesOf(resource) }, scopeSpans }] }
}

function wireOf({ context, parent, name, kind, start, end, attributes }: Span): object {
  return {
    traceId: traceIdOf(context),
    spanId: spanIdOf(context),
    ...(parent !== undefined && { parentSpanId: spanIdOf(parent) }),
    ...{ name, kind: KINDS[kind], flags: 1 },
    startTimeUnixNano: nanos(Math.min(start, end)),
    endTimeUnixNano: nanos(end),
    attributes: attributesOf(attributes),
  }
}

function nanos(micros: number): string {
  return `${Math.round(micros)}000`
}

function attributesOf(values: Readonly<Record<string, string | number>>): object[] {
  return Object.entries(values).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? { stringValue: value } : { intValue: String(value) },
  }))
}

/** `fetch` hides the reason in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return cause instanceof Error ? cause.message : String(cause)
}
