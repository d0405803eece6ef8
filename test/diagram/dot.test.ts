import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { machineDot, overallDot } from '../../src/diagram/dot.ts'
import { diagramFiles } from '../../src/diagram/files.ts'
import { GRAPHS, type MachineGraph, type MachineName } from '../../src/diagram/graph.ts'
import { EXTERNAL_SYSTEMS, MESSAGES } from '../../src/diagram/messages.ts'
import { drawSvg } from '../../src/diagram/svg.ts'

const machines = Object.entries(GRAPHS) as [MachineName, MachineGraph][]
const ids = (svg: string) => [...svg.matchAll(/<g id="([^"]+)"/g)].map(([, id]) => id)

/** The line of one node or edge. */
function lineOf(dot: string, id: string): string {
  const line = dot.split('\n').find((each) => each.includes(`id="${id}"`) || each.includes(`id=${id},`))
  assert.ok(line, `nothing has the id ${id}`)
  return line
}

describe('the picture of a machine', () => {
  for (const [name, graph] of machines) {
    test(`of ${name} has every state and every edge under its own id`, async () => {
      const drawn = ids(await drawSvg(machineDot(name, graph)))
      assert.equal(new Set(drawn).size, drawn.length, 'ids are unique')
      for (const state of graph.states) assert.ok(drawn.includes(`${name}.${state.name}`), state.name)
      for (const { from, event, to } of graph.edges) {
        assert.ok(drawn.includes(`${name}.${from}.${event}.${to}`), `${from} ${event} ${to}`)
      }
    })
  }

  test('follows the conventions', () => {
    const dot = machineDot('producer', GRAPHS.producer)
    assert.match(dot, /graph \[rankdir=LR/)
    assert.match(dot, /node \[shape=rectangle, style=filled, fontname=Helvetica, fontsize=10/)
    assert.match(lineOf(dot, 'producer.idle'), /fillcolor=lightblue/)
    assert.match(lineOf(dot, 'producer.error'), /fillcolor=red/)
    assert.match(lineOf(dot, 'producer.publishingFixed'), /label="Publishing to Fixed Topics"/)
    assert.match(lineOf(dot, 'producer.publishingFixed.FETCH_DATA.fetchingData'), /style=dotted/)
    assert.doesNotMatch(lineOf(dot, 'producer.idle.FETCH_DATA.fetchingData'), /dotted/)
  })

  test('says of each edge of ours that it is, and why', () => {
    const lines = machineDot('producer', GRAPHS.producer).split('\n')
    for (const { from, event, to, reason } of GRAPHS.producer.edges) {
      const at = lines.findIndex((line) => line.includes(`id="producer.${from}.${event}.${to}"`))
      assert.equal(
        /class="transition ours"/.test(lines[at] ?? ''),
        reason !== undefined,
        `${from} ${event} ${to}`,
      )
      if (reason !== undefined) assert.equal(lines[at - 1]?.trim(), `// ours: ${reason}`)
    }
  })

  test('survives text that DOT would take for its own', async () => {
    const odd = 'a "quoted" \\ back\nslash */ ]; // <b>'
    const graph: MachineGraph = {
      ...GRAPHS.consumerFixed,
      label: odd,
      states: [{ name: 'node', label: odd, description: odd }],
      edges: [{ from: 'node', event: 'graph', to: 'node', reason: odd }],
      initial: 'node',
    }
    const svg = await drawSvg(machineDot('consumerFixed', graph))
    assert.match(svg, />a &quot;quoted&quot; \\ back</)
    assert.ok(ids(svg).includes('consumerFixed.node.graph.node'))
  })
})

describe('the overall picture', () => {
  const dot = overallDot(GRAPHS, MESSAGES)

  test('has a lightgrey cluster for each actor, the systems outside, and the messages', async () => {
    const drawn = ids(await drawSvg(dot))
    assert.equal(new Set(drawn).size, drawn.length, 'ids are unique')
    for (const [name] of machines) {
      assert.match(dot, new RegExp(`subgraph cluster_${name} \\{`))
      assert.match(lineOf(dot, name), /color=lightgrey/)
    }
    for (const name of Object.keys(EXTERNAL_SYSTEMS)) {
      assert.match(
        dot.split('\n').find((line) => line.includes(`class=external`) && line.includes(name)) ?? '',
        /shape=ellipse, color=lightyellow/,
      )
    }
    for (const { from, to, color, style } of MESSAGES) {
      const line = lineOf(dot, `message.${from}.${to}`)
      assert.ok(line.includes(`color=${color}`) && line.includes(`style=${style}`), line)
      assert.ok(drawn.includes(`message.${from}.${to}`))
    }
  })

  test('ends a message for an actor as a whole at its cluster, by a point that is not seen', () => {
    assert.match(lineOf(dot, 'message.producer.publishingFixed.consumerFixed'), /lhead=cluster_consumerFixed/)
    assert.match(dot, /consumerFixed \[shape=point, style=invis/)
  })
})

test('diagrams come out the same each time', async () => {
  assert.deepEqual(await diagramFiles(), await diagramFiles())
})
