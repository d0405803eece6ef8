import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setup } from 'xstate'
import { GRAPHS, readGraph } from '../../src/diagram/graph.ts'
import { overallJson } from '../../src/diagram/graph-json.ts'
import { EXTERNAL_SYSTEMS, MESSAGES } from '../../src/diagram/messages.ts'

const machine = setup({
  types: { events: {} as { type: 'GO' } | { type: 'RESET' } | { type: 'TELL' } },
}).createMachine({
  id: 'small',
  initial: 'first',
  context: { held: 1 },
  on: { RESET: { target: '.first', description: 'everywhere' }, TELL: { actions: () => {} } },
  states: {
    first: {
      description: 'where it begins',
      meta: { label: 'First State' },
      on: {
        GO: [
          { guard: () => true, target: 'second', description: 'sometimes' },
          { guard: () => true, target: 'first', description: 'or not' },
          { target: 'second', description: 'else' },
        ],
        TELL: {},
      },
    },
    second: { after: { 10: { actions: () => {} } }, on: { RESET: 'first' } },
  },
})

describe('a graph read from a machine', () => {
  const graph = readGraph(machine)

  test('has its states with their labels and its context', () => {
    assert.deepEqual(graph.states, [
      { name: 'first', label: 'First State', description: 'where it begins' },
      { name: 'second', label: 'second', description: '' },
    ])
    assert.equal(graph.initial, 'first')
    assert.deepEqual(graph.context, ['held'])
  })

  test('has each edge once, those of the root from every state that does not have its own', () => {
    assert.deepEqual(graph.edges, [
      { from: 'first', event: 'GO', to: 'second', reason: 'sometimes else' },
      { from: 'first', event: 'GO', to: 'first', reason: 'or not' },
      { from: 'second', event: 'RESET', to: 'first' },
      { from: 'first', event: 'RESET', to: 'first', reason: 'everywhere' },
    ])
  })

  test('tells what is handled in every state without leaving it', () => {
    assert.deepEqual(graph.handledInEveryState, ['TELL'])
  })
})

describe('the JSON of all machines', () => {
  const { messagesBetweenActors, ...machines } = overallJson(GRAPHS, MESSAGES)

  test('has edges as triples, and ours among them', () => {
    const { edges, ours, states } = machines.consumerFixed
    assert.ok(edges.some((edge) => edge.join(' ') === 'writingToDB WRITE_SUCCESS idle'))
    for (const edge of ours) assert.ok(edges.includes(edge), edge.join(' '))
    assert.deepEqual(states, ['idle', 'processingMessage', 'writingToDB', 'error'])
  })

  test('has messages only between what exists', () => {
    const places = new Set<string>(Object.keys(EXTERNAL_SYSTEMS))
    for (const [name, { states }] of Object.entries(machines)) {
      places.add(name)
      for (const state of states) places.add(`${name}.${state}`)
    }
    for (const { from, to } of messagesBetweenActors) {
      assert.ok(places.has(from), from)
      assert.ok(places.has(to), to)
    }
  })
})
