import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { GRAPHS, type MachineName } from '../../src/diagram/graph.ts'
import { MESSAGES } from '../../src/diagram/messages.ts'

const edgeSchema = z.tuple([z.string(), z.string(), z.string()])
const machineSchema = z.object({
  id: z.string(),
  initial: z.string(),
  states: z.record(z.string(), z.string()),
  context: z.array(z.string()),
  services: z.array(z.string()),
  edges: z.array(edgeSchema),
  ours: z.array(edgeSchema),
  handledInEveryState: z.array(z.string()).default([]),
})
const contractSchema = z.object({
  producer: machineSchema,
  coordinator: machineSchema,
  consumerFixed: machineSchema,
  consumerDynamic: machineSchema,
  messagesBetweenActors: z.array(z.record(z.string(), z.string())),
})

const { messagesBetweenActors, ...contract } = contractSchema.parse(
  JSON.parse(await readFile(new URL('statecharts.json', import.meta.url), 'utf8')),
)

const without = (wanted: readonly string[], there: readonly string[]) =>
  wanted.filter((name) => !there.includes(name))

for (const machine of Object.keys(contract) as MachineName[]) {
  describe(`${machine} keeps the contract`, () => {
    const agreed = contract[machine]
    const graph = GRAPHS[machine]
    const reasons = new Map(
      graph.edges.map(({ from, event, to, reason }) => [`${from} ${event} ${to}`, reason]),
    )
    const agreedEdges = agreed.edges.map((edge) => edge.join(' '))

    test('in its id and where it begins', () => {
      assert.equal(graph.id, agreed.id)
      assert.equal(graph.initial, agreed.initial)
    })

    test('in its states and what they are for', () => {
      const described = Object.fromEntries(graph.states.map(({ name, description }) => [name, description]))
      for (const [state, description] of Object.entries(agreed.states)) {
        assert.equal(described[state], description, state)
      }
    })

    test('in its context, services and what it handles in every state', () => {
      assert.deepEqual(without(agreed.context, graph.context), [])
      assert.deepEqual(without(agreed.services, graph.services), [])
      assert.deepEqual(without(agreed.handledInEveryState, graph.handledInEveryState), [])
    })

    test('in every edge, none of them marked as ours', () => {
      assert.deepEqual(without(agreedEdges, [...reasons.keys()]), [])
      assert.deepEqual(
        agreedEdges.filter((edge) => reasons.get(edge) !== undefined),
        [],
      )
    })

    test('in every edge of ours, and each that the contract lacks says why it exists', () => {
      assert.deepEqual(
        without(
          agreed.ours.map((edge) => edge.join(' ')),
          [...reasons.keys()],
        ),
        [],
      )
      const added = without([...reasons.keys()], agreedEdges)
      assert.deepEqual(
        added.filter((edge) => !reasons.get(edge)),
        [],
      )
    })
  })
}

test('the messages between the actors keep the contract', () => {
  assert.deepEqual(MESSAGES, messagesBetweenActors)
})
