import { setImmediate as afterPromises } from 'node:timers/promises'
import type { Actor, AnyStateMachine } from 'xstate'
import type { MachineName } from '../../src/diagram/graph.ts'
import type { ConsumerDynamicEvent } from '../../src/machines/consumer-dynamic-context.ts'
import type { ProducerEvent } from '../../src/machines/producer-context.ts'
import type {
  Carried,
  DeliveryResult,
  DynamicBatch,
  FixedBatch,
  PreparedBatch,
  PublishOutcome,
  TopicBatch,
} from '../../src/ports/pipeline.ts'
import type { SourceBatch } from '../../src/ports/source.ts'
import {
  Bench,
  provideConsumerDynamic,
  provideConsumerFixed,
  provideCoordinator,
  provideProducer,
} from './bench.ts'

/** One thing that happens to a machine. */
export type Step = (bench: Bench, actor: Actor<AnyStateMachine>) => Promise<void>

const PROVIDE = {
  producer: provideProducer,
  coordinator: provideCoordinator,
  consumerFixed: provideConsumerFixed,
  consumerDynamic: provideConsumerDynamic,
} as const satisfies Record<MachineName, (bench: Bench) => AnyStateMachine>

/** A machine that has begun and to which the steps have happened; `go` has further ones happen and gives their transitions. */
export async function walk(machine: MachineName, ...steps: readonly Step[]) {
  const bench = new Bench()
  const actor: Actor<AnyStateMachine> = bench.start(PROVIDE[machine](bench), machine)
  for (const step of steps) await step(bench, actor)
  async function go(...further: readonly Step[]): Promise<readonly string[]> {
    bench.path()
    for (const step of further) await step(bench, actor)
    return bench.path()
  }
  return { bench, actor, go }
}

export const done =
  (service: string, output?: unknown): Step =>
  (bench) =>
    bench.done(service, output)

export const fail =
  (service: string, error?: unknown): Step =>
  (bench) =>
    bench.fail(service, error)

export const pass =
  (ms: number): Step =>
  (bench) =>
    bench.pass(ms)

export const send =
  (event: ProducerEvent | ConsumerDynamicEvent): Step =>
  async (_, actor) => {
    actor.send(event)
    await afterPromises()
  }

export const reset = send({ type: 'RESET' })

/** The back-off is over: with `chance` 0 it is 100 ms. */
export const backOff = pass(100)

/** A batch that can be told from others; `size` 0 is what a quiet source gives. */
export function sourceBatch(detail: string, size = 1): SourceBatch {
  const status = { source: 's', exchange: 'e', state: 'connected', detail, ts: 0 } as const
  return { items: Array.from({ length: size }, () => ({ channel: 'connection', status })) }
}

export const outcome = (dynamicWaiting = false, topics: readonly string[] = []): PublishOutcome => ({
  topics,
  records: 1,
  dynamicWaiting,
})

export const fetched: Step = done('fetchDataService', sourceBatch('fetched'))
export const fetchedNothing: Step = done('fetchDataService', sourceBatch('nothing', 0))
export const published: Step = done('publishFixedService', outcome())
export const publishedForStreams: Step = done('publishFixedService', outcome(true))
export const derived: Step = done('publishDynamicService', outcome())

/** Machines carry the way home of a batch; the services at its end go it. */
const settled = (): void => {}

const spec = { channel: 'trade', symbols: ['BTC-*'], exchanges: [] } as const
export const CREATE = {
  kind: 'create',
  requests: [
    {
      ...{ topicName: 'app.1', partitions: 1, spec, requestId: 'r', leaseId: 'l' },
      ...{ app: 'a', ttlMs: 0, standing: false },
    },
  ],
  ...{ controlOffset: 0, done: settled },
} as const satisfies Carried<TopicBatch>
export const DELETE: Carried<TopicBatch> = {
  kind: 'delete',
  requests: [{ topicName: 'app.1', streamId: 's' }],
  ...{ controlOffset: 0, done: settled },
}

export const FIXED: Carried<FixedBatch> = {
  ...{ fetches: [], records: 1, done: settled },
  prepared: { writes: [], rows: 1, basis: [], rejected: [], torn: [] },
}
export const PREPARED: Carried<PreparedBatch> = { fetches: [], writes: [], rows: 1, done: settled }
export const DYNAMIC: Carried<DynamicBatch> = { fetches: [], done: settled }
export const DELIVERED: DeliveryResult = { endpoints: 1, events: 1 }
