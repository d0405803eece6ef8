import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { GRAPHS, type MachineName } from '../../src/diagram/graph.ts'
import { TapelineError } from '../../src/errors.ts'
import { EFFORT } from '../effort.ts'
import { walk } from './steps.ts'
import { ConsumerDynamicWorld } from './worlds/consumer-dynamic.ts'
import { ConsumerFixedWorld } from './worlds/consumer-fixed.ts'
import { CoordinatorWorld } from './worlds/coordinator.ts'
import { ProducerWorld } from './worlds/producer.ts'
import type { World } from './worlds/world.ts'

/** What may happen next; numbers choose among what the machine's world offers. */
type Happening =
  | { readonly kind: 'send'; readonly choice: number }
  | { readonly kind: 'succeed'; readonly choice: number }
  | { readonly kind: 'fail'; readonly retryable: boolean }
  | { readonly kind: 'pass'; readonly ms: number }

const choice = fc.nat({ max: 999 })
const happenings = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const), choice }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('succeed' as const), choice }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('fail' as const), retryable: fc.boolean() }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('pass' as const),
        ms: fc.constantFrom(1, 100, 5_000, 30_000),
      }),
    },
  ),
  { maxLength: 60 },
)

const RUNS = 120 * EFFORT
/** A machine that has done none of what waits after so many steps of a world in order is stuck. */
const STEPS_TO_RECOVER = 300

const edgesOf = (machine: MachineName) =>
  new Set(GRAPHS[machine].edges.map(({ from, event, to }) => `${from} ${event} ${to}`))

/** Any order of happenings, then a world in order: nothing throws, nothing is lost, and the machine does its work again. */
function survives<Context>(
  machine: MachineName,
  createWorld: () => World<Context>,
  atRest: readonly string[],
) {
  return async (t: TestContext) => {
    const edges = edgesOf(machine)
    const seed = Number(process.env['TAPELINE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    t.diagnostic(`seed ${seed} (TAPELINE_TEST_SEED)`)

    const property = fc.asyncProperty(happenings, async (list) => {
      const world = createWorld()
      const { bench, actor } = await walk(machine)

      function check(): void {
        const snapshot = actor.getSnapshot()
        assert.deepEqual(bench.failures, [])
        assert.equal(snapshot.status, 'active')
        const expected = atRest.includes(snapshot.value) ? 0 : 1
        assert.equal(bench.running().length, expected, `services that run in ${snapshot.value}`)
        for (const taken of bench.path()) assert.ok(edges.has(taken), `the diagram has no ${taken}`)
        world.check(snapshot.context)
      }

      async function happen(happening: Happening): Promise<void> {
        if (happening.kind === 'send') {
          actor.send(world.command(happening.choice))
          return
        }
        if (happening.kind === 'pass') return bench.pass(happening.ms)
        const [call] = bench.running()
        if (call === undefined) return
        if (happening.kind === 'succeed')
          return bench.done(call.service, world.answer(call, happening.choice))
        const code = happening.retryable ? 'BROKER_UNAVAILABLE' : 'INPUT_INVALID'
        await bench.fail(call.service, new TapelineError(code, 'fails'))
      }

      check()
      for (const happening of list) {
        await happen(happening)
        check()
      }

      world.calm()
      for (let step = 0; !world.isDone(actor.getSnapshot().context); step++) {
        assert.ok(step < STEPS_TO_RECOVER, `stuck in ${actor.getSnapshot().value}`)
        const event = world.wake()
        if (event) actor.send(event)
        await happen({ kind: 'succeed', choice: 0 })
        await happen({ kind: 'pass', ms: 1_000 })
        check()
      }
      actor.stop()
      assert.deepEqual(bench.running(), [], 'a stopped machine aborts what runs')
    })
    await fc.assert(property, { numRuns: RUNS, seed })
  }
}

test(
  'the producer survives any order of events',
  survives('producer', () => new ProducerWorld(), ['error']),
)

test(
  'the coordinator survives any order of events',
  survives('coordinator', () => new CoordinatorWorld(), ['error']),
)

test(
  'the fixed consumer survives any order of events',
  survives('consumerFixed', () => new ConsumerFixedWorld(), ['error']),
)

test(
  'the dynamic consumer survives any order of events',
  survives('consumerDynamic', () => new ConsumerDynamicWorld(), ['error', 'idle']),
)
