import { fromPromise } from 'xstate'
import { TapelineError } from '../errors.ts'
import { consumerDynamicMachine } from '../machines/consumer-dynamic.ts'
import { consumerFixedMachine } from '../machines/consumer-fixed.ts'
import { coordinatorMachine } from '../machines/coordinator.ts'
import type { MachineSettings } from '../machines/failure.ts'
import { producerMachine } from '../machines/producer.ts'
import type { ActorReport, ErrorInfo, Transition } from '../ports/actors.ts'
import type { Log, Meter } from '../ports/log.ts'
import type {
  ConsumerDynamicActor,
  ConsumerDynamicServices,
} from '../services/consumer-dynamic/application.ts'
import type { ConsumerFixedServices } from '../services/consumer-fixed/consumer-fixed.ts'
import type { CoordinatorServices } from '../services/coordinator/coordinator.ts'
import type { ProducerServices } from '../services/producer/producer.ts'
import type { Alerts } from '../telemetry/alerts.ts'
import { type SupervisedActor, superviseActor } from '../telemetry/supervise.ts'

/** What every actor of the process shares. */
export interface ActorParts {
  readonly settings: MachineSettings
  readonly alerts: Alerts
  readonly onTransition: (transition: Transition) => void
  readonly log: Log
  readonly meter: Meter
}

/** What an actor says of a failure that lasts. */
function alertActions(id: string, alerts: Alerts) {
  return {
    raiseAlert: (_: unknown, { errorInfo }: { errorInfo: ErrorInfo | null }) => {
      if (errorInfo)
        alerts.raise(id, errorInfo.code, `${id} has failed in ${errorInfo.step}: ${errorInfo.message}`)
    },
    clearAlert: () => alerts.clear(id),
  }
}

/** `details` adds to the context that is shown what the machine does not know. */
export function startProducer(actorParts: ActorParts, services: ProducerServices, details: () => object) {
  const { alerts, log } = actorParts
  const id = 'producer'
  return superviseActor({
    ...actorParts,
    id,
    kind: 'producer',
    machine: producerMachine.provide({
      actors: {
        fetchDataService: fromPromise(({ input, signal }) => services.fetchData(input.waitMs, signal)),
        publishFixedService: fromPromise(({ input, signal }) => services.publishFixed(input.data, signal)),
        publishDynamicService: fromPromise(({ signal }) => services.publishDynamic(signal)),
        createTopicService: fromPromise(({ input, signal }) => services.createTopic(input.topicName, signal)),
      },
      actions: {
        ...alertActions(id, alerts),
        applyNotification: (_, { notification }) => services.applyNotification(notification),
        reportRefused: (_, { event }) => log.warn({ event }, 'too many commands wait; one was refused'),
      },
    }),
    summarise: ({ currentData, targetTopic, newTopicName, waiting }) => ({
      batch: currentData?.items.length ?? 0,
      targetTopic,
      newTopicName,
      waiting: { dynamic: waiting.dynamic, topics: waiting.topics.length, batches: waiting.batches.length },
      ...details(),
    }),
  })
}

/** `details` adds to the context that is shown what the machine does not know. */
export function startCoordinator(
  actorParts: ActorParts,
  services: CoordinatorServices,
  details: () => object,
) {
  const id = 'coordinator'
  return superviseActor({
    ...actorParts,
    id,
    kind: 'coordinator',
    machine: coordinatorMachine.provide({
      actors: {
        receiveRequestsService: fromPromise(({ signal }) => services.receiveRequests(signal)),
        createTopicService: fromPromise(({ input, signal }) => services.createTopics(input.batch, signal)),
        notifyActorsService: fromPromise(({ input, signal }) => services.notifyActors(input.batch, signal)),
        deleteTopicService: fromPromise(({ input, signal }) => services.deleteTopics(input.batch, signal)),
      },
      actions: alertActions(id, actorParts.alerts),
    }),
    summarise: ({ pendingTopic }) => ({
      pending: pendingTopic?.kind ?? null,
      requests: pendingTopic?.requests.length ?? 0,
      ...details(),
    }),
  })
}

export function startConsumerFixed(actorParts: ActorParts, services: ConsumerFixedServices) {
  const id = 'consumer-fixed'
  return superviseActor({
    ...actorParts,
    id,
    kind: 'consumerFixed',
    machine: consumerFixedMachine.provide({
      actors: {
        receiveMessageService: fromPromise(({ signal }) => services.receiveMessage(signal)),
        processMessageService: fromPromise(({ input, signal }) =>
          services.processMessage(input.message, signal),
        ),
        writeToDBService: fromPromise(({ input, signal }) => services.writeToDB(input.record, signal)),
      },
      actions: alertActions(id, actorParts.alerts),
    }),
    summarise: ({ currentMessage, dbRecord }) => ({
      records: currentMessage?.records ?? 0,
      rows: dbRecord?.rows ?? 0,
      partitions: services.partitions(),
    }),
  })
}

function startConsumerDynamic(actorParts: ActorParts, app: string, services: ConsumerDynamicServices) {
  const id = `consumer-dynamic:${app}`
  return superviseActor({
    ...actorParts,
    id,
    kind: 'consumerDynamic',
    machine: consumerDynamicMachine.provide({
      actors: {
        subscribeTopicService: fromPromise(({ input, signal }) =>
          services.subscribeTopics(input.topics, signal),
        ),
        receiveMessageService: fromPromise(({ input, signal }) =>
          services.receiveMessage(input.topics, signal),
        ),
        processMessageService: fromPromise(({ input }) => services.processMessage(input.message)),
        interactWithAppService: fromPromise(({ input }) => services.interactWithApp(input.message)),
      },
      actions: alertActions(id, actorParts.alerts),
    }),
    summarise: ({ currentTopics, appInteractionResult }) => ({
      topics: currentTopics.length,
      slow: services.slow(),
      lastDelivery: appInteractionResult,
    }),
  })
}

type RunningActor = Pick<SupervisedActor<never>, 'report' | 'reset' | 'retry' | 'stop'>

/** The actors of this process, by id (R20). */
export class ActorRoster {
  readonly #actors = new Map<string, RunningActor>()

  add<A extends RunningActor>(actor: A): A {
    this.#actors.set(actor.report().id, actor)
    return actor
  }

  /** Stops an actor and forgets it. */
  remove(id: string): void {
    this.#actors.get(id)?.stop()
    this.#actors.delete(id)
  }

  has(id: string): boolean {
    return this.#actors.has(id)
  }

  list(): readonly ActorReport[] {
    return [...this.#actors.values()].map((actor) => actor.report())
  }

  /** Sends RESET. Raises ACTOR_UNKNOWN. */
  reset(id: string): void {
    const actor = this.#actors.get(id)
    if (!actor) throw new TapelineError('ACTOR_UNKNOWN', `no actor ${id} runs here`)
    actor.reset()
  }

  /** What the actors need that failed with this code is back: they try again at once. */
  retry(code: string): void {
    for (const actor of this.#actors.values()) actor.retry(code)
  }

  /** Starts the machine of an application, and keeps it in the roster while it lives. */
  spawnConsumerDynamic(
    actorParts: ActorParts,
    app: string,
    services: ConsumerDynamicServices,
  ): ConsumerDynamicActor {
    const actor = this.add(startConsumerDynamic(actorParts, app, services))
    const { id } = actor.report()
    return {
      send: (event) => actor.send(event),
      stop: () => {
        this.remove(id)
        actorParts.alerts.clear(id)
      },
    }
  }
}
