import assert from 'node:assert/strict'
import { setImmediate as afterPromises } from 'node:timers/promises'
import { type Actor, type AnyStateMachine, createActor, fromPromise, SimulatedClock } from 'xstate'
import type { MachineName } from '../../src/diagram/graph.ts'
import { TapelineError } from '../../src/errors.ts'
import { consumerDynamicMachine } from '../../src/machines/consumer-dynamic.ts'
import { consumerFixedMachine } from '../../src/machines/consumer-fixed.ts'
import { coordinatorMachine } from '../../src/machines/coordinator.ts'
import type { MachineSettings } from '../../src/machines/failure.ts'
import { producerMachine } from '../../src/machines/producer.ts'
import type { ErrorInfo } from '../../src/ports/actors.ts'
import type { Log } from '../../src/ports/log.ts'
import type { ProducerNotification } from '../../src/ports/pipeline.ts'
import { observeTransitions } from '../../src/telemetry/transitions.ts'

export const ALERT_AFTER_MS = 10_000

/** One call of a service, answered by the test. */
export interface Call {
  readonly service: string
  // Services differ in what they take; each test knows what the one it looks at was given.
  readonly input: Readonly<Record<string, unknown>>
  readonly signal: AbortSignal
  readonly resolve: (output: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Machines run on services that the test answers, on a clock that the test moves, and all that they do is noted. */
export class Bench {
  readonly clock = new SimulatedClock()
  /** What the machine's dice show, in [0, 1). */
  chance = 0
  readonly calls: Call[] = []
  readonly #answered = new Set<Call>()
  /** Each as `from EVENT to`. */
  readonly transitions: string[] = []
  /** Provided actions in their order. */
  readonly told: { action: string; errorInfo?: ErrorInfo | null; notification?: ProducerNotification }[] = []
  readonly failures: unknown[] = []

  readonly settings: MachineSettings = {
    now: () => this.clock.now(),
    random: () => this.chance,
    alertAfterMs: ALERT_AFTER_MS,
  }

  readonly log: Log = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: (fields) => void this.failures.push(fields),
    child: () => this.log,
  }

  service<Output, Input>(service: string) {
    return fromPromise<Output, Input>(
      ({ input, signal }) =>
        new Promise((resolve, reject) => {
          this.calls.push({
            service,
            input: (input ?? {}) as Call['input'],
            signal,
            resolve: resolve as Call['resolve'],
            reject,
          })
        }),
    )
  }

  /** The `inspect` function that notes transitions. */
  inspect(machine: MachineName) {
    return observeTransitions({
      actor: machine,
      machine,
      now: this.settings.now,
      log: this.log,
      onTransition: ({ from, event, to }) => this.transitions.push(`${from} ${event} ${to}`),
    })
  }

  start<Machine extends AnyStateMachine>(machine: Machine, name: MachineName): Actor<Machine> {
    const actor = createActor<AnyStateMachine>(machine, {
      id: name,
      clock: this.clock,
      input: this.settings,
      inspect: this.inspect(name),
    })
    actor.subscribe({ error: (error) => this.failures.push(error) })
    return actor.start() as Actor<Machine>
  }

  /** Calls that are neither answered nor aborted. */
  running(): readonly Call[] {
    return this.calls.filter((call) => !call.signal.aborted && !this.#answered.has(call))
  }

  /** The one running call. */
  call(service: string): Call {
    const [call, ...others] = this.running()
    assert.ok(call, `${service} is not called: nothing is`)
    assert.deepEqual(others, [], 'one service runs at a time')
    assert.equal(call.service, service)
    return call
  }

  /** The running call succeeds. */
  async done(service: string, output?: unknown): Promise<void> {
    const call = this.call(service)
    this.#answered.add(call)
    call.resolve(output)
    await afterPromises()
  }

  /** The running call fails, by default as something that may succeed later. */
  async fail(
    service: string,
    error: unknown = new TapelineError('BROKER_UNAVAILABLE', 'away'),
  ): Promise<void> {
    const call = this.call(service)
    this.#answered.add(call)
    call.reject(error)
    await afterPromises()
  }

  async pass(ms: number): Promise<void> {
    this.clock.increment(ms)
    await afterPromises()
  }

  /** The transitions since the last call. */
  path(): readonly string[] {
    return this.transitions.splice(0)
  }

  alerts(): readonly string[] {
    return this.told.map(({ action }) => action).filter((action) => /Alert$/.test(action))
  }
}

/** The actions that tell of failures, noted. */
const alertActions = (bench: Bench) => ({
  raiseAlert: (_: unknown, { errorInfo }: { errorInfo: ErrorInfo | null }) =>
    void bench.told.push({ action: 'raiseAlert', errorInfo }),
  clearAlert: () => void bench.told.push({ action: 'clearAlert' }),
})

export const provideProducer = (bench: Bench) =>
  producerMachine.provide({
    actors: {
      fetchDataService: bench.service('fetchDataService'),
      publishFixedService: bench.service('publishFixedService'),
      publishDynamicService: bench.service('publishDynamicService'),
      createTopicService: bench.service('createTopicService'),
    },
    actions: {
      ...alertActions(bench),
      applyNotification: (_, { notification }) =>
        void bench.told.push({ action: 'applyNotification', notification }),
      reportRefused: (_, { event }) => void bench.told.push({ action: `refused ${event}` }),
    },
  })

export const provideCoordinator = (bench: Bench) =>
  coordinatorMachine.provide({
    actors: {
      receiveRequestsService: bench.service('receiveRequestsService'),
      createTopicService: bench.service('createTopicService'),
      notifyActorsService: bench.service('notifyActorsService'),
      deleteTopicService: bench.service('deleteTopicService'),
    },
    actions: alertActions(bench),
  })

export const provideConsumerFixed = (bench: Bench) =>
  consumerFixedMachine.provide({
    actors: {
      receiveMessageService: bench.service('receiveMessageService'),
      processMessageService: bench.service('processMessageService'),
      writeToDBService: bench.service('writeToDBService'),
    },
    actions: alertActions(bench),
  })

export const provideConsumerDynamic = (bench: Bench) =>
  consumerDynamicMachine.provide({
    actors: {
      subscribeTopicService: bench.service('subscribeTopicService'),
      receiveMessageService: bench.service('receiveMessageService'),
      processMessageService: bench.service('processMessageService'),
      interactWithAppService: bench.service('interactWithAppService'),
    },
    actions: alertActions(bench),
  })
