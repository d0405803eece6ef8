import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AnyStateMachine, type AnyStateNode, createActor, raise, setup } from 'xstate'
import { consumerDynamicMachine } from '../../src/machines/consumer-dynamic.ts'
import { consumerFixedMachine } from '../../src/machines/consumer-fixed.ts'
import { coordinatorMachine } from '../../src/machines/coordinator.ts'
import { producerMachine } from '../../src/machines/producer.ts'
import type { Transition } from '../../src/ports/actors.ts'
import type { Log, Meter } from '../../src/ports/log.ts'
import { observeTransitions, recordTransitions } from '../../src/telemetry/transitions.ts'

type Event = { type: 'GO' | 'NEXT' | 'AGAIN' | 'STAY' | 'NOTE' | 'RESET' }

/** `first` is left by a raised event as soon as GO comes; AGAIN re-enters, STAY and NOTE do not. */
const machine = setup({ types: { events: {} as Event } }).createMachine({
  id: 'small',
  initial: 'first',
  on: { RESET: '.first' },
  states: {
    first: { on: { GO: { target: 'second', actions: raise({ type: 'NEXT' }) } } },
    second: { on: { NEXT: 'third' } },
    third: {
      on: { AGAIN: { target: 'third', reenter: true }, STAY: 'third', NOTE: { actions: () => {} } },
    },
  },
})

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

function observed(
  onTransition: (transition: Transition) => void,
  log = silent,
  events: Event['type'][] = [],
) {
  const inspect = observeTransitions({
    actor: 'a1',
    machine: 'producer',
    now: () => 1_700_000_000_000.25,
    onTransition,
    log,
  })
  const actor = createActor(machine, { inspect }).start()
  for (const type of events) actor.send({ type })
  return actor
}

/** What is told while these events are sent. */
function told(...events: Event['type'][]): readonly Transition[] {
  const transitions: Transition[] = []
  observed((transition) => transitions.push(transition), silent, events)
  return transitions
}

const asText = ({ from, event, to }: Transition) => `${from} ${event} ${to}`

describe('observed transitions', () => {
  test('are told with time in microseconds, actor and machine, in the order of the trace', () => {
    const [first] = told('GO')
    assert.equal(
      JSON.stringify(first),
      '{"ts":1700000000000250,"actor":"a1","machine":"producer","from":"first","event":"GO","to":"second"}',
    )
  })

  test('include microsteps, and not the initial state', () => {
    assert.deepEqual(told('GO').map(asText), ['first GO second', 'second NEXT third'])
  })

  test('include self transitions that re-enter, and nothing that is handled in place', () => {
    assert.deepEqual(told('GO', 'STAY', 'NOTE', 'AGAIN').slice(2).map(asText), ['third AGAIN third'])
  })

  test('name the state that an event of the root leaves', () => {
    assert.deepEqual(told('RESET').map(asText), ['first RESET first'])
    assert.equal(told('GO', 'RESET').map(asText).at(-1), 'third RESET first')
  })

  test('that cannot be recorded are reported once and stop nothing', () => {
    const reports: object[] = []
    const log: Log = { ...silent, error: (fields) => void reports.push(fields) }
    const failure = new Error('no room')
    const fail = () => {
      throw failure
    }
    const actor = observed(fail, log, ['GO', 'AGAIN', 'RESET', 'GO'])
    assert.equal(actor.getSnapshot().value, 'third')
    assert.deepEqual(reports, [{ actor: 'a1', err: failure }])
  })
})

for (const { root, id } of [
  producerMachine,
  coordinatorMachine,
  consumerFixedMachine,
  consumerDynamicMachine,
] satisfies AnyStateMachine[])
  test(`${id}: no event both enters a state anew and is handled there in place`, () => {
    for (const node of Object.values<AnyStateNode>(root.states))
      for (const [event, transitions] of node.transitions) {
        const back = transitions.filter(({ target }) => target === undefined || target[0] === node)
        assert.equal(new Set(back.map(({ reenter }) => reenter)).size <= 1, true, `${node.key} ${event}`)
      }
  })

test('a recorded transition is logged, counted and traced', () => {
  const noted: unknown[] = []
  const log: Log = { ...silent, debug: (fields, message) => void noted.push([message, fields]) }
  const meter: Meter = {
    count: (name, amount, labels) => void noted.push([name, amount, labels]),
    gauge() {},
    observe() {},
  }
  const transition = {
    ts: 1,
    actor: 'a1',
    machine: 'producer',
    from: 'idle',
    event: 'GO',
    to: 'next',
  } as const
  recordTransitions(log, meter, { write: (line) => void noted.push(line) })(transition)
  assert.deepEqual(noted, [
    ['transition', { actor: 'a1', from: 'idle', event: 'GO', to: 'next' }],
    ['transitions_total', 1, { machine: 'producer', from: 'idle', event: 'GO', to: 'next' }],
    transition,
  ])
})
