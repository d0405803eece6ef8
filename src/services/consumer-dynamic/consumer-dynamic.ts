import { withDeadline } from '../../async/deadline.ts'
import type { ControlBus } from '../../control/bus.ts'
import type { PlatformNames } from '../../control/names.ts'
import { CONTROL_VERSION } from '../../control/record-format.ts'
import type { Registry } from '../../control/registry.ts'
import { type Cursor, decodeCursor } from '../../domain/cursor.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { Connection, Delivery, SlowChoice } from '../../ports/delivery.ts'
import type { Lease, LeaseChange, StreamDesk } from '../../ports/streams.ts'
import type { AppEndpoint, AppMessage } from '../../ports/transport.ts'
import { type Application, type ApplicationParts, createApplication } from './application.ts'
import { beginningAt, hasTopicOf, legsOf } from './legs.ts'
import { createReaderPool } from './reader-pool.ts'
import { Subscription } from './subscription.ts'
import { openTopicHub, type TopicHub } from './topic-hub.ts'

const NOTIFICATION_WAIT_MS = 10_000
/** So many connections are served from the log at once; the others wait for their turn. */
const MOST_READERS = 16

interface DeliveryParts extends Omit<ApplicationParts, 'hub' | 'readers'> {
  readonly names: PlatformNames
  readonly desk: StreamDesk
  readonly bus: ControlBus
  readonly registry: Registry
  readonly instance: string
}

/** The delivery of this process, with what the composition root needs to end it. */
export interface RunningDelivery extends Delivery {
  close(): Promise<void>
}

/** Delivers dynamic topics to the endpoints of applications, one consumerDynamic machine an application, and one a webhook. */
export async function createDelivery(delivery: DeliveryParts): Promise<RunningDelivery> {
  const { broker, desk, bus, registry, instance, log } = delivery
  const hub: TopicHub = await openTopicHub(broker, log)
  const readers = createReaderPool(delivery, MOST_READERS)
  const applications = new Map<string, { application: Application; connections: number }>()

  function* everySubscription(): Generator<Subscription> {
    for (const { application } of applications.values()) yield* application.subscriptions()
  }

  const onChange = (change: LeaseChange): void => {
    // Nobody reads one here that is new.
    if (change.kind === 'ready' && change.lease.former === undefined) return
    const leaseId = change.kind === 'ready' ? change.lease.id : change.leaseId
    for (const { application } of applications.values()) {
      for (const subscription of application.ofLease(leaseId)) {
        if (change.kind === 'ready') {
          application.move(subscription, change.lease)
          continue
        }
        subscription.endpoint.send(farewell(change))
        application.remove([subscription])
      }
    }
  }
  const unwatch = desk.watch(onChange)
  const closing = new AbortController()
  const unlisten = bus.on('NOTIFY_CONSUMER', (notification) => {
    const { notificationId, registryOffset } = notification
    withDeadline(closing.signal, NOTIFICATION_WAIT_MS, (deadline) =>
      registry.reached(registryOffset, deadline),
    )
      .then(() =>
        bus.send([{ v: CONTROL_VERSION, kind: 'ACKNOWLEDGE', instance, notificationId, role: 'gateway' }]),
      )
      .catch((error: unknown) =>
        log.warn({ code: toTapelineError(error).code }, 'a notification was not acknowledged'),
      )
  })
  desk.reading(function* () {
    for (const subscription of everySubscription()) yield subscription.lease.id
  })

  const enter = (actor: string): { application: Application; connections: number } => {
    const known = applications.get(actor) ?? {
      application: createApplication(actor, { ...delivery, hub, readers }),
      connections: 0,
    }
    known.connections++
    applications.set(actor, known)
    return known
  }

  return {
    connect(app, endpoint, actor = app) {
      const entry = enter(actor)
      const connection = openConnection(app, endpoint, entry.application, delivery)
      return {
        ...connection,
        close() {
          connection.close()
          entry.connections--
          if (entry.connections === 0) {
            applications.delete(actor)
            entry.application.stop()
          }
        },
      }
    },
    async close() {
      closing.abort()
      unwatch()
      unlisten()
      for (const { application } of applications.values()) application.stop()
      applications.clear()
      await hub.close()
    },
  }
}

/** What an application hears of a lease that this process serves no longer. */
function farewell(change: Exclude<LeaseChange, { kind: 'ready' }>): AppMessage {
  if (change.kind === 'ended') return { op: 'end', stream: change.leaseId, reason: change.reason }
  const { code, message, remedy } = new TapelineError('UPGRADE_NEEDED', change.reason)
  return { op: 'error', stream: change.leaseId, code, message, remedy }
}

/** One endpoint's subscriptions; each lease at most once. */
function openConnection(
  app: string,
  endpoint: AppEndpoint,
  application: Application,
  { desk, names }: Pick<DeliveryParts, 'desk' | 'names'>,
): Connection {
  const subscriptions = new Map<string, Subscription>()
  /** Look-ups under way. The next request for a stream ends its look-up. */
  const lookUps = new Map<string, AbortController>()
  const refuse = (stream: string, error: unknown): void => {
    const { code, message, remedy } = toTapelineError(error)
    endpoint.send({ op: 'error', stream, code, message, remedy })
  }
  const leave = (...leaseIds: readonly string[]): void => {
    const left: Subscription[] = []
    for (const leaseId of leaseIds) {
      lookUps.get(leaseId)?.abort()
      lookUps.delete(leaseId)
      const subscription = subscriptions.get(leaseId)
      if (!subscription) continue
      subscriptions.delete(leaseId)
      left.push(subscription)
      desk.noteRead(leaseId)
    }
    application.remove(left)
  }

  const read = (cursorText: string, lease: Lease): Cursor =>
    decodeCursor(
      cursorText,
      (topicId) =>
        legsOf(lease, names.fixed).find((leg) => leg.topicId === topicId)?.fixedTopic ??
        names.fixed[lease.spec.channel],
    )

  /** Whether this process knows what the cursor is of. */
  const isLevel = (lease: Lease, cursorText: string | undefined): boolean =>
    cursorText === undefined || hasTopicOf(lease, read(cursorText, lease), names.fixed)

  const begin = (
    leaseId: string,
    lease: Lease | undefined,
    cursorText: string | undefined,
    slow: SlowChoice | undefined,
  ): void => {
    if (!lease || (lease.app !== app && !lease.standing && app !== 'admin')) {
      throw new TapelineError('STREAM_UNKNOWN', `no stream ${leaseId} belongs to the application`)
    }
    const beginning =
      cursorText === undefined ? undefined : beginningAt(lease, read(cursorText, lease), names.fixed)
    leave(leaseId)
    const subscription = new Subscription(endpoint, lease, beginning, names.fixed, slow)
    subscriptions.set(leaseId, subscription)
    application.add(subscription)
    desk.noteRead(leaseId)
  }

  /** Another process may just have made a stream, or moved it, and this one does not know. */
  const lookUp = async (
    leaseId: string,
    cursorText: string | undefined,
    slow: SlowChoice | undefined,
  ): Promise<void> => {
    lookUps.get(leaseId)?.abort()
    const ended = new AbortController()
    lookUps.set(leaseId, ended)
    try {
      const lease = await desk.find(leaseId, ended.signal, (known) => isLevel(known, cursorText))
      if (!ended.signal.aborted) begin(leaseId, lease, cursorText, slow)
    } catch (error) {
      if (!ended.signal.aborted) refuse(leaseId, error)
    } finally {
      if (lookUps.get(leaseId) === ended) lookUps.delete(leaseId)
    }
  }

  return {
    subscribe(leaseId, cursorText, slow) {
      const lease = desk.get(leaseId)
      try {
        if (lease !== undefined && isLevel(lease, cursorText)) begin(leaseId, lease, cursorText, slow)
        else void lookUp(leaseId, cursorText, slow)
      } catch (error) {
        refuse(leaseId, error)
      }
    },
    unsubscribe: (leaseId) => leave(leaseId),
    close() {
      leave(...lookUps.keys(), ...subscriptions.keys())
    },
  }
}
