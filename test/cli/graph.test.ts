import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { readFlags } from '../../src/cli/command.ts'
import { command } from '../../src/cli/graph.ts'
import { diagramFiles } from '../../src/diagram/files.ts'
import { recordingTerminal } from './recording-terminal.ts'

async function graph(...args: string[]): Promise<string> {
  const { flags, words } = readFlags(command, args)
  const terminal = recordingTerminal()
  assert.equal(await command.run(flags, words, terminal), 0)
  return terminal.printed.join('\n')
}

const usage = { code: 'USAGE' }

describe('tapeline graph', () => {
  test('prints all machines and their messages as one JSON object', async () => {
    const all = JSON.parse(await graph('--format', 'json'))
    assert.deepEqual(Object.keys(all), [
      'producer',
      'coordinator',
      'consumerFixed',
      'consumerDynamic',
      'messagesBetweenActors',
    ])
    assert.deepEqual(all, JSON.parse(await graph('overall', '--format', 'json')))
    assert.deepEqual(JSON.parse(await graph('producer', '--format', 'json')), { producer: all.producer })
  })

  test('prints DOT by default and draws SVG', async () => {
    assert.match(await graph('coordinator'), /^digraph tapeline \{/)
    assert.match(await graph(), /subgraph cluster_producer/)
    assert.match(await graph('consumerFixed', '--format', 'svg'), /<svg .*consumerFixed\.writingToDB/s)
  })

  test('writes to a file', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tapeline-graph-'))
    t.after(() => rm(folder, { recursive: true }))
    const out = join(folder, 'producer.dot')
    assert.equal(await graph('producer', '--out', out), '')
    assert.match(await readFile(out, 'utf8'), /^digraph/)
    await assert.rejects(graph('--out', join(folder, 'no', 'such')), usage)
  })

  test('refuses what it does not know', async () => {
    await assert.rejects(graph('publisher'), usage)
    await assert.rejects(graph('producer', 'coordinator'), usage)
    await assert.rejects(graph('--format', 'png'), usage)
  })
})

test('docs/machines shows the machines as they are (npm run docs)', async () => {
  for (const [name, text] of await diagramFiles()) {
    const file = new URL(`../../docs/machines/${name}`, import.meta.url)
    assert.ok((await readFile(file, 'utf8')) === text, `docs/machines/${name} is out of date`)
  }
})
