import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The path of a file of the repository. */
export function pathOf(name: string): string {
  return `${ROOT}${name}`
}

export function readText(name: string): string {
  return readFileSync(pathOf(name), 'utf8')
}

/** The names of the files in a folder of the repository. */
export function filesIn(folder: string): string[] {
  return readdirSync(pathOf(folder)).map((name) => `${folder}/${name}`)
}

/** All documents of a YAML file; a key that stands twice, or anything else that is no YAML, fails. */
export function readYaml(name: string): unknown[] {
  return parseAllDocuments(readText(name), { merge: true, uniqueKeys: true }).map((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], [], name)
    return document.toJS()
  })
}

export const VERSION = z.object({ version: z.string() }).parse(JSON.parse(readText('package.json'))).version

/** An image with a version in its tag: it is the same one tomorrow. */
export const PINNED = /^[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z0-9-]+)?$/

/** How long a process may take to end (R19), in seconds. */
export const END_WITHIN_S = 10

/** One instruction of a Dockerfile. */
export interface Instruction {
  readonly name: string
  readonly text: string
}

/** The stages of the Dockerfile, each from its FROM on; what stands before the first one is in none. */
export function readDockerfile(): Instruction[][] {
  const stages: Instruction[][] = []
  const lines = readText('Dockerfile')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, '')
  for (const line of lines.split('\n').filter((each) => each.trim() !== '')) {
    const [, name = '', text = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
    if (name === 'FROM') stages.push([])
    stages.at(-1)?.push({ name, text })
  }
  return stages
}

/** The instructions of the image itself, which is the last stage. */
export function imageInstructions(name: string): string[] {
  const last = readDockerfile().at(-1) ?? []
  return last.filter((each) => each.name === name).map(({ text }) => text)
}

/** What the image sets in the environment of a process. */
export function imageEnvironment(): Record<string, string> {
  const pairs = imageInstructions('ENV').flatMap((text) => text.trim().split(/\s+/))
  return Object.fromEntries(pairs.map((pair) => pair.split('=', 2) as [string, string]))
}
