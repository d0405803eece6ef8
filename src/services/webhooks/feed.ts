import { onAbort } from '../../async/abort.ts'
import { createDrain } from '../../async/drain.ts'
import { startTimer } from '../../async/timers.ts'
import type { WebhookNotice, WebhookPlace } from '../../control/endpoint-records.ts'
import { type ErrorCode, TapelineError } from '../../errors.ts'
import type { AppEndpoint, AppMessage, TakenRecords } from '../../ports/transport.ts'

/** Bytes that may wait for one webhook: what comes beyond stays in the log. */
const MOST_PENDING_BYTES = 256 * 1024
/** A message ends with the event that fills it. */
const MOST_MESSAGE_BYTES = 512 * 1024

export interface MessageLimits {
  readonly maxEvents: number
  readonly maxWaitMs: number
}

/** What goes to the receiver at once, and where the webhook stands once it is taken. */
export type FeedMessage =
  | {
      readonly kind: 'events'
      readonly events: readonly Uint8Array[]
      /** The topic that they lie in, all of them, and the offset behind the last of them. */
      readonly topicId: string
      readonly next: number
      readonly place: WebhookPlace
    }
  | { readonly kind: 'notice'; readonly notice: WebhookNotice; readonly place: WebhookPlace }

type Entry =
  | {
      readonly kind: 'records'
      readonly events: TakenRecords['batch']['events']
      /** How many of the events have been taken. */
      taken: number
      readonly topicId: string
      readonly next: number
      /** Behind it. */
      readonly place: WebhookPlace
    }
  | { readonly kind: 'notice'; readonly notice: WebhookNotice; readonly place: WebhookPlace | undefined }
  | { readonly kind: 'failed'; readonly error: TapelineError }

/** Events of a message that is not complete yet. */
interface Gathering {
  readonly events: Uint8Array[]
  bytes: number
  topicId: string
  next: number
  /** When the first one was taken, in milliseconds. */
  since: number | undefined
}

/**
 * The feed of a webhook: an endpoint that delivery writes to, and out of which messages come, as the application wants them. It has a bound,
 * at which delivery goes on from the log.
 */
export class WebhookFeed {
  readonly endpoint: AppEndpoint
  readonly #stream: string
  readonly #entries: Entry[] = []
  #gathering: Gathering = emptyGathering()
  #pendingBytes = 0
  /** Behind all that was taken out. */
  #place: WebhookPlace
  /** Events in front of this offset were taken before. It holds until a batch has passed it, or the stream goes on in another topic. */
  #skip: number
  #topicId: string | undefined
  readonly #drained: () => void
  #wake: (() => void) | undefined

  constructor(stream: string, place: WebhookPlace) {
    this.#stream = stream
    this.#place = place
    this.#skip = place.after ?? 0
    const pendingBytes = (): number => this.#pendingBytes
    const drain = createDrain({ isClosed: () => false, pendingBytes })
    this.#drained = drain.wake
    this.endpoint = {
      id: stream,
      get pendingBytes() {
        return pendingBytes()
      },
      closed: false,
      mostPendingBytes: MOST_PENDING_BYTES,
      send: (message) => this.#hear(message),
      sendEncoded: () => {
        throw new TapelineError('INTERNAL', 'a webhook takes records')
      },
      takeRecords: (records) => this.#take(records),
      drained: drain.drained,
    }
  }

  /** The next message, when it is full or has waited long enough. Raises why delivery failed; rejects with the signal. */
  async next(limits: MessageLimits, signal: AbortSignal): Promise<FeedMessage> {
    for (;;) {
      signal.throwIfAborted()
      const message = this.ready(limits)
      if (message !== undefined) return message
      const { since } = this.#gathering
      const restMs = since === undefined ? undefined : since + limits.maxWaitMs - performance.now()
      if (restMs !== undefined && restMs <= 0) return this.#give()
      await this.#arrival(restMs, signal)
    }
  }

  /** A message that needs to wait for nothing. Raises why delivery failed. */
  ready({ maxEvents, maxWaitMs }: MessageLimits): FeedMessage | undefined {
    const isFull = this.#gather(maxEvents, undefined)
    if (this.#gathering.events.length > 0) {
      if (isFull || this.#entries.length > 0 || maxWaitMs === 0) return this.#give()
      return undefined
    }
    return this.#notice()
  }

  /**
   * The events in front of an offset of a topic, once more: all of them, or as many as there still are. Undefined where there are none. Without a
   * topic it is the one that is read.
   */
  async upTo(
    next: number,
    topicId: string | undefined,
    signal: AbortSignal,
  ): Promise<FeedMessage | undefined> {
    while (!this.#gather(Number.POSITIVE_INFINITY, { next, topicId }) && this.#entries.length === 0) {
      signal.throwIfAborted()
      await this.#arrival(undefined, signal)
    }
    return this.#gathering.events.length > 0 ? this.#give() : undefined
  }

  #hear(message: AppMessage): void {
    switch (message.op) {
      case 'subscribed':
        return
      case 'reset':
      case 'end': {
        const { op, stream, reason } = message
        const place = message.op === 'reset' ? { cursor: message.cursor, after: null } : undefined
        this.#skip = 0
        this.#add({ kind: 'notice', notice: { op, stream, reason }, place })
        return
      }
      case 'error':
        if (message.code === 'STREAM_UNKNOWN') {
          const notice = { op: 'end', stream: this.#stream, reason: 'the stream has ended' } as const
          this.#add({ kind: 'notice', notice, place: undefined })
        } else
          this.#add({ kind: 'failed', error: new TapelineError(message.code as ErrorCode, message.message) })
    }
  }

  #take({ batch, from, cursor }: TakenRecords): void {
    const { topicId } = batch
    if (topicId !== (this.#topicId ?? topicId)) this.#skip = 0
    this.#topicId = topicId
    const first = Math.max(from, this.#skip)
    const after = batch.next < this.#skip ? this.#skip : null
    if (after === null) this.#skip = 0
    const events = batch.events.filter(({ offset }) => offset >= first)
    for (const { value } of events) this.#pendingBytes += value.byteLength
    this.#add({ kind: 'records', events, taken: 0, topicId, next: batch.next, place: { cursor, after } })
  }

  #add(entry: Entry): void {
    this.#entries.push(entry)
    this.#wake?.()
  }

  /**
   * Moves what fits into the message that is being gathered. Gives whether the message is full, or has all in front of `until`. A message has
   * events of one topic, so that an offset says where it ends.
   */
  #gather(
    maxEvents: number,
    until: { readonly next: number; readonly topicId: string | undefined } | undefined,
  ): boolean {
    const gathering = this.#gathering
    const isFull = (): boolean =>
      gathering.events.length >= maxEvents || (until === undefined && gathering.bytes >= MOST_MESSAGE_BYTES)
    try {
      for (;;) {
        const [entry] = this.#entries
        const isOf = (topicId: string): boolean => topicId === (until?.topicId ?? topicId)
        if (until !== undefined && isOf(gathering.topicId) && gathering.next >= until.next) return true
        if (isFull()) return true
        if (entry?.kind !== 'records') return false
        const isOther = entry.topicId !== gathering.topicId
        if (isOther && gathering.events.length > 0) return true
        if (entry.events.length > 0 && !isOf(entry.topicId)) return true
        if (isOther) gathering.next = -1
        gathering.topicId = entry.topicId
        for (; entry.taken < entry.events.length && !isFull(); entry.taken++) {
          const event = entry.events[entry.taken]
          if (event === undefined || (until !== undefined && event.offset >= until.next)) break
          gathering.events.push(event.value)
          gathering.bytes += event.value.byteLength
          gathering.since ??= performance.now()
          gathering.next = event.offset + 1
          this.#pendingBytes -= event.value.byteLength
        }
        if (entry.taken < entry.events.length) {
          this.#place = { cursor: this.#place.cursor, after: gathering.next }
          return true
        }
        this.#entries.shift()
        this.#place = entry.place
        gathering.next = entry.next
      }
    } finally {
      this.#drained()
    }
  }

  #give(): FeedMessage {
    const { events, topicId, next } = this.#gathering
    this.#gathering = emptyGathering()
    return { kind: 'events', events, topicId, next, place: this.#place }
  }

  #notice(): FeedMessage | undefined {
    const [entry] = this.#entries
    if (entry === undefined || entry.kind === 'records') return undefined
    if (entry.kind === 'failed') throw entry.error
    this.#entries.shift()
    const { notice, place } = entry
    if (place !== undefined) this.#place = place
    return { kind: 'notice', notice, place: this.#place }
  }

  #arrival(restMs: number | undefined, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = restMs === undefined ? undefined : startTimer(resolve, restMs)
    this.#wake = resolve
    const off = onAbort(signal, resolve)
    return promise.finally(() => {
      off()
      timer?.stop()
      this.#wake = undefined
    })
  }
}

function emptyGathering(): Gathering {
  return { events: [], bytes: 0, topicId: '', next: -1, since: undefined }
}
