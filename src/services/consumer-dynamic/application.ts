import { createSerializer } from '../../async/serialize.ts'
import { toTapelineError } from '../../errors.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log, Meter } from '../../ports/log.ts'
import type { Carried, DeliveryResult, DynamicBatch, StreamBatch } from '../../ports/pipeline.ts'
import type { Lease } from '../../ports/streams.ts'
import type { Tracer } from '../../ports/trace.ts'
import { catchUp } from './catch-up.ts'
import { type DataFrame, wholeBody } from './data-frame.ts'
import { createInbox } from './inbox.ts'
import { lowBytes } from './read-turn.ts'
import type { ReaderPool } from './reader-pool.ts'
import type { Delivered, Subscription } from './subscription.ts'
import type { TopicFeed, TopicHub, TopicListener } from './topic-hub.ts'

/** The services of one application's consumerDynamic machine. */
export interface ConsumerDynamicServices {
  subscribeTopics(topics: readonly string[], signal: AbortSignal): Promise<void>
  receiveMessage(topics: readonly string[], signal: AbortSignal): Promise<Carried<DynamicBatch>>
  /** Joins the body of each batch once for all endpoints, ahead of its delivery. */
  processMessage(message: DynamicBatch): Promise<void>
  interactWithApp(message: Carried<DynamicBatch>): Promise<DeliveryResult>
  /** Its connections that are not served live at present, for whoever looks. */
  slow(): { readonly behind: number; readonly latest: number }
}

/** The running machine of one application. */
export interface ConsumerDynamicActor {
  send(
    event:
      | { readonly type: 'SUBSCRIBE_TO_TOPIC'; readonly topic: readonly string[] }
      | { readonly type: 'UNSUBSCRIBE_FROM_TOPIC'; readonly topic: readonly string[] },
  ): void
  stop(): void
}

export interface ApplicationParts {
  readonly broker: Broker
  readonly hub: TopicHub
  readonly readers: ReaderPool
  /** Starts the machine of an application. */
  readonly spawn: (app: string, services: ConsumerDynamicServices) => ConsumerDynamicActor
  /** Microseconds since the epoch. */
  readonly nowMicros: () => number
  readonly log: Log
  readonly meter: Meter
  /** Undefined where nothing is traced. */
  readonly tracer?: Tracer | undefined
}

/** One application in this process: its machine, and the subscriptions of all its endpoints (R12). */
export interface Application {
  add(subscription: Subscription): void
  /** All that end together, such as those of a socket: their topics leave the machine in one step. */
  remove(subscriptions: readonly Subscription[]): void
  /** Its lease has moved on, or where a former topic ends for it is known. */
  move(subscription: Subscription, lease: Lease): void
  subscriptions(): Iterable<Subscription>
  /** Those of one lease. */
  ofLease(leaseId: string): readonly Subscription[]
  stop(): void
}

const CHOICES = { behind: 'catch-up', latest: 'latest', disconnected: 'disconnect' } as const

/** Numbers the deliveries of all applications, so that endpoints are counted once in each. */
let cycles = 0

export function createApplication(app: string, delivery: ApplicationParts): Application {
  const { hub, log, meter, spawn, nowMicros, tracer } = delivery
  const inTurn = createSerializer()
  const byTopic = new Map<string, Set<Subscription>>()
  const byLease = new Map<string, Set<Subscription>>()
  const inbox = createInbox((batch) => {
    for (const subscription of byTopic.get(batch.topic) ?? []) {
      subscription.fallBehind(batch)
      serveBehind(subscription)
    }
  })
  const listener: TopicListener = {
    take: (batch) => inbox.push(batch),
    begin(feed) {
      activate(feed)
      onBegin()
    },
  }
  const served = new Set<Subscription>()
  /** Ends the wait for the first topic that is read. */
  let onBegin = (): void => {}

  const serveBehind = (subscription: Subscription): void => {
    if (subscription.state !== 'behind' || served.has(subscription)) return
    served.add(subscription)
    meter.count('delivery_catch_ups_total')
    catchUp(subscription, delivery)
      .catch((error: unknown) => {
        log.error({ stream: subscription.lease.id, code: toTapelineError(error).code }, 'catching up ended')
      })
      .finally(() => {
        served.delete(subscription)
        if (!subscription.ended.aborted) serveBehind(subscription)
      })
  }

  /** Waits until a connection that wants nothing but the latest has room. */
  const serveLatest = async (subscription: Subscription): Promise<void> => {
    const { endpoint, ended } = subscription
    await endpoint.drained(lowBytes(subscription), ended)
    const { events, skipped } = subscription.sendLatest()
    meter.count('delivered_events_total', events)
    meter.count('delivery_skipped_events_total', skipped)
    serveBehind(subscription)
  }

  const slowDown = (subscription: Subscription, delivered: Delivered): void => {
    if (delivered.kind === 'sent') return
    const { id: stream } = subscription.lease
    if (delivered.kind !== 'behind' || delivered.isSlow) {
      const choice = CHOICES[delivered.kind]
      meter.count('delivery_slow_total', 1, { choice })
      log.debug({ app, stream, choice }, 'a connection takes less than comes')
    }
    if (delivered.kind === 'behind') serveBehind(subscription)
    if (delivered.kind === 'latest')
      // The connection has gone: there is nobody to tell.
      serveLatest(subscription).catch(() => undefined)
  }

  const activate = (feed: TopicFeed): void => {
    for (const subscription of byTopic.get(feed.topic) ?? []) {
      if (subscription.state === 'waiting' && subscription.activate(feed)) serveBehind(subscription)
    }
  }

  /** The time from the arrival of the source's frame to here, of the newest event: one of a batch is enough. */
  const observeLatency = (batch: StreamBatch): void => {
    const newest = batch.events.at(-1)
    if (newest === undefined) return
    const recvTs = recvTsIn(newest.value)
    if (recvTs === undefined) return
    const seconds = (nowMicros() - recvTs) / 1e6
    meter.observe('delivery_latency_seconds', seconds)
    meter.observe('hop_seconds', seconds, { hop: 'delivered' })
  }

  const traceDelivery = (to: Tracer, { topic, events, traces }: StreamBatch, start: number): void => {
    for (const parent of traces ?? []) {
      const attributes = { 'tapeline.app': app, 'messaging.destination.name': topic, events: events.length }
      const about = { context: to.follow(parent), parent, name: 'deliver', kind: 'consumer' } as const
      to.end({ ...about, start, end: nowMicros(), attributes })
    }
  }

  /** Topics that the machine is about to hear of. */
  const joining = new Set<string>()
  /** A socket may ask for a thousand topics in one go: the machine hears of them in one event, since each costs it a look at all that wait. */
  const join = (topic: string): void => {
    if (joining.size === 0) queueMicrotask(tellJoined)
    joining.add(topic)
  }
  const tellJoined = (): void => {
    const topic = [...joining]
    joining.clear()
    if (topic.length > 0) actor.send({ type: 'SUBSCRIBE_TO_TOPIC', topic })
  }
  const tellLeft = (topics: readonly string[]): void => {
    const topic = topics.filter((each) => !joining.delete(each))
    if (topic.length > 0) actor.send({ type: 'UNSUBSCRIBE_FROM_TOPIC', topic })
  }

  const enter = (subscription: Subscription): void => {
    const { topic, topicId } = subscription.lease
    const known = byTopic.get(topic) ?? new Set()
    byTopic.set(topic, known.add(subscription))
    const feed = hub.feed(topic)
    if (known.size === 1) {
      hub.follow(topic, topicId, listener)
      join(topic)
    } else if (feed !== undefined) activate(feed)
  }

  /** Gives whether nobody reads the topic any more. */
  const leave = (subscription: Subscription, topic: string): boolean => {
    if (!takeFrom(byTopic, topic, subscription)) return false
    hub.leave(topic, listener)
    return true
  }

  const isRead = (): boolean => {
    for (const topic of byTopic.keys()) if (hub.feed(topic) !== undefined) return true
    return false
  }

  const countOf = (state: Subscription['state']): number => {
    let count = 0
    for (const known of byTopic.values())
      for (const subscription of known) if (subscription.state === state) count++
    return count
  }

  const services: ConsumerDynamicServices = {
    slow: () => ({ behind: countOf('behind'), latest: countOf('latest') }),
    subscribeTopics: (topics, signal) =>
      inTurn(async () => {
        // A topic that cannot be read yet holds up no other: the hub opens it as soon as it can.
        if (isRead() || !topics.some((topic) => byTopic.has(topic))) return
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        onBegin = resolve
        hub.settled(topics, signal).then(([failure]) => (failure ? reject(failure) : resolve()), reject)
        await promise
      }),
    receiveMessage: (_topics, signal) => inTurn(() => inbox.receive(signal)),
    processMessage: (message) =>
      inTurn(async () => {
        for (const batch of message.fetches) if (batch.events.length > 0) wholeBody(batch)
      }),
    interactWithApp: (message) =>
      inTurn(async () => {
        let events = 0
        const start = nowMicros()
        const cycle = ++cycles
        let endpoints = 0
        for (const batch of message.fetches) {
          const shared = new Map<string, DataFrame>()
          for (const subscription of byTopic.get(batch.topic) ?? []) {
            const delivered = subscription.deliver(batch, shared)
            slowDown(subscription, delivered)
            if (delivered.kind === 'sent' && delivered.events > 0) {
              events += delivered.events
              const { endpoint } = subscription
              if (endpoint.deliveredIn !== cycle) endpoints++
              endpoint.deliveredIn = cycle
            }
            if (batch.reset !== null) meter.count('delivery_resets_total')
          }
          observeLatency(batch)
          if (tracer) traceDelivery(tracer, batch, start)
        }
        message.done()
        meter.count('delivered_events_total', events)
        return { endpoints, events }
      }),
  }
  const actor = spawn(app, services)

  return {
    add(subscription) {
      const { id } = subscription.lease
      byLease.set(id, (byLease.get(id) ?? new Set()).add(subscription))
      enter(subscription)
    },
    remove(subscriptions) {
      const left: string[] = []
      for (const subscription of subscriptions) {
        const { id, topic } = subscription.lease
        subscription.end()
        takeFrom(byLease, id, subscription)
        if (leave(subscription, topic)) left.push(topic)
      }
      tellLeft(left)
    },
    move(subscription, lease) {
      const { topic } = subscription.lease
      subscription.moveTo(lease)
      if (topic !== lease.topic) {
        enter(subscription)
        if (leave(subscription, topic)) {
          // In this order its machine never reads nothing in between.
          tellJoined()
          tellLeft([topic])
        }
      }
      serveBehind(subscription)
    },
    *subscriptions() {
      for (const known of byTopic.values()) yield* known
    },
    ofLease: (leaseId) => [...(byLease.get(leaseId) ?? [])],
    stop() {
      for (const known of byTopic.values()) for (const subscription of known) subscription.end()
      for (const topic of byTopic.keys()) hub.leave(topic, listener)
      joining.clear()
      actor.stop()
    },
  }
}

/** Gives whether it was the last of its set. */
function takeFrom<Item>(sets: Map<string, Set<Item>>, key: string, item: Item): boolean {
  const known = sets.get(key)
  if (!known?.delete(item) || known.size > 0) return false
  sets.delete(key)
  return true
}

/** When the source's frame of an event arrived, in microseconds; undefined where the stream leaves that out. In a text quotes are escaped. */
function recvTsIn(event: Uint8Array): number | undefined {
  const text = Buffer.from(event.buffer, event.byteOffset, event.byteLength)
  const at = text.lastIndexOf('"recvTs":')
  if (at < 0) return undefined
  const recvTs = Number.parseInt(text.toString('latin1', at + 9, at + 26), 10)
  return Number.isNaN(recvTs) ? undefined : recvTs
}
