import { doubled } from '../../async/back-off.ts'
import { pause } from '../../async/timers.ts'
import type { WebhookState } from '../../control/endpoint-records.ts'
import type { WebhookRecord } from '../../control/registry-records.ts'
import { type TapelineError, toTapelineError } from '../../errors.ts'
import type { Delivery } from '../../ports/delivery.ts'
import type { Log, Meter } from '../../ports/log.ts'
import type { WebhookAnswer, WebhookSender } from '../../ports/webhooks.ts'
import { type FeedMessage, WebhookFeed } from './feed.ts'

/** The waits between attempts: they double, and half of each is chance, so that receivers are not asked all at once. */
const FIRST_REST_MS = 1_000
const LONGEST_REST_MS = 300_000

interface WebhookSettings {
  /** How long a receiver may fail before its webhook is paused, and before an alert says that it fails. */
  readonly pauseAfterMs: number
  readonly alertAfterMs: number
}

export interface RunParts {
  readonly delivery: Delivery
  readonly sender: WebhookSender
  readonly settings: WebhookSettings
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** In [0, 1). */
  readonly random: () => number
  readonly newId: () => string
  readonly alerts: {
    raise(id: string, code: string, message: string): void
    clear(id: string): void
  }
  readonly log: Log
  readonly meter: Meter
}

/** What the owner of a webhook's partition does for it. Both reject once this process does not own the partition any more. */
interface Owner {
  write(state: WebhookState): Promise<void>
  prove(): Promise<void>
  /** Whether what was proven holds still. */
  isProven(): boolean
}

/** A webhook that is being served. */
export interface WebhookRun {
  readonly revision: number
  /** Ends it; resolves when nothing is sent any more. */
  stop(): Promise<void>
}

type Pending = NonNullable<WebhookState['pending']>
type Sent = FeedMessage & { readonly pending: Pending }

export function alertOf(id: string): string {
  return `webhook:${id}`
}

/** Serves one webhook, one message at a time, until it is stopped or has to stop by itself. */
export function runWebhook(
  record: WebhookRecord,
  known: WebhookState | undefined,
  owner: Owner,
  parts: RunParts,
): WebhookRun {
  const { delivery, sender, settings, now, random, newId, alerts, log, meter } = parts
  const { id, app, leaseId, revision, maxEvents, maxWaitMs } = record
  const limits = { maxEvents, maxWaitMs }
  const stop = new AbortController()
  const { signal } = stop
  // What stopped it counted for an earlier revision: a command has resumed it, and the time of failure begins anew.
  const isResumed = known?.stopped != null
  let state: WebhookState = {
    ...{ id, place: { cursor: record.cursor, after: null }, pending: null, deliveredAt: null },
    ...known,
    ...{ stopped: null, failure: isResumed ? null : (known?.failure ?? null) },
  }

  const save = async (change: Partial<WebhookState>): Promise<void> => {
    state = { ...state, ...change }
    await owner.write(state)
  }

  const halt = async (
    reason: 'failed' | 'gone' | 'ended',
    { code, message }: Pick<TapelineError, 'code' | 'message'>,
  ): Promise<void> => {
    await save({ stopped: { revision, reason, code, message, at: now() } })
    if (reason !== 'ended') alerts.raise(alertOf(id), code, `the webhook ${id} is paused: ${message}`)
    log.warn({ webhook: id, app, reason, code }, 'a webhook has stopped')
  }

  /** What a former owner, or this process before a restart, was sending. */
  const recover = async (feed: WebhookFeed): Promise<Sent | undefined> => {
    const { pending } = state
    if (pending === null) return undefined
    const { notice, next, topicId, place } = pending
    if (notice !== null) return { kind: 'notice', notice, place, pending }
    const message = await feed.upTo(next ?? 0, topicId, signal)
    if (message?.kind !== 'events') return undefined
    // Where the log has lost some of it, it is another message.
    const isSame = message.next >= (next ?? 0) && message.topicId === (topicId ?? message.topicId)
    return { ...message, pending: pendingOf(message, isSame ? pending.id : newMessageId()) }
  }

  const newMessageId = (): string => `msg_${newId()}`

  const attempt = async (message: Sent): Promise<WebhookAnswer> => {
    await owner.prove()
    const began = performance.now()
    const answer = await sender.send(
      record,
      { id: message.pending.id, body: bodyOf(leaseId, message) },
      () => owner.isProven(),
      signal,
    )
    if (answer.kind === 'held') return attempt(message)
    meter.observe('webhook_request_seconds', (performance.now() - began) / 1000)
    meter.count('webhook_requests_total', 1, { outcome: answer.kind })
    return answer
  }

  /** Sends a message until its receiver has it. Gives whether to go on. */
  const deliver = async (message: Sent): Promise<boolean> => {
    for (;;) {
      const answer = await attempt(message)
      if (answer.kind === 'accepted') return true
      const { code, message: reason } = answer.error
      const since = state.failure?.since ?? now()
      const attempts = (state.failure?.attempts ?? 0) + 1
      state = { ...state, failure: { since, attempts, code, message: reason } }
      const failedMs = now() - since
      if (answer.kind === 'gone' || failedMs >= settings.pauseAfterMs) {
        await halt(answer.kind === 'gone' ? 'gone' : 'failed', answer.error)
        return false
      }
      await save({})
      log.debug({ webhook: id, code, reason, attempts }, 'a receiver did not take a message')
      if (failedMs >= settings.alertAfterMs)
        alerts.raise(alertOf(id), code, `the receiver of the webhook ${id} fails: ${reason}`)
      const wholeMs = doubled(FIRST_REST_MS, LONGEST_REST_MS, attempts - 1)
      const restMs = Math.max(answer.restMs ?? 0, (wholeMs * (1 + random())) / 2)
      await pause(Math.min(restMs, settings.pauseAfterMs - failedMs), signal)
      signal.throwIfAborted()
    }
  }

  const accept = (message: Sent): void => {
    if (state.failure !== null) alerts.clear(alertOf(id))
    state = { ...state, place: message.place, pending: null, failure: null, deliveredAt: now() }
    if (message.kind === 'events') meter.count('webhook_events_total', message.events.length)
  }

  const serve = async (feed: WebhookFeed): Promise<void> => {
    let message = await recover(feed)
    for (;;) {
      if (message === undefined) {
        const fresh = await feed.next(limits, signal)
        message = { ...fresh, pending: pendingOf(fresh, newMessageId()) }
      }
      // Written before the first attempt: whoever goes on sends the same message under the same id.
      await save({ pending: message.pending })
      if (!(await deliver(message))) return
      accept(message)
      if (message.kind === 'notice' && message.notice.op === 'end') {
        await halt('ended', { code: 'STREAM_UNKNOWN', message: message.notice.reason })
        return
      }
      const fresh = feed.ready(limits)
      message = fresh && { ...fresh, pending: pendingOf(fresh, newMessageId()) }
      if (message === undefined) await save({})
    }
  }

  const run = async (): Promise<void> => {
    for (let failures = 0; !signal.aborted; failures++) {
      const start = state.pending?.notice != null ? state.pending.place : state.place
      const feed = new WebhookFeed(leaseId, start)
      const connection = delivery.connect(app, feed.endpoint, `webhook:${id}`)
      try {
        connection.subscribe(leaseId, start.cursor)
        await serve(feed)
        return
      } catch (error) {
        if (signal.aborted) return
        const { code, message: reason } = toTapelineError(error)
        log.warn({ webhook: id, code, reason }, 'a webhook is interrupted, trying again')
      } finally {
        connection.close()
      }
      await pause(doubled(FIRST_REST_MS, LONGEST_REST_MS, failures), signal)
    }
  }
  const running = run()

  return {
    revision,
    async stop() {
      stop.abort()
      await running
    },
  }
}

function pendingOf(message: FeedMessage, id: string): Pending {
  const { place } = message
  return message.kind === 'events'
    ? { id, topicId: message.topicId, next: message.next, notice: null, place }
    : { id, next: null, notice: message.notice, place }
}

const COMMA = Buffer.from(',')

/** What a WebSocket would get, without a cursor: the platform keeps it. */
function bodyOf(stream: string, message: FeedMessage): Uint8Array {
  if (message.kind === 'notice') return Buffer.from(JSON.stringify(message.notice))
  const pieces: Uint8Array[] = [Buffer.from(`{"op":"data","stream":${JSON.stringify(stream)},"events":[`)]
  for (const [i, event] of message.events.entries()) {
    if (i > 0) pieces.push(COMMA)
    pieces.push(event)
  }
  pieces.push(Buffer.from(']}'))
  return Buffer.concat(pieces)
}
