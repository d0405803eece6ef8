import { execFile } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { madeOnce } from '../made-once.ts'

const run = promisify(execFile)

const here = fileURLToPath(new URL('.', import.meta.url))
const cache = join(here, '..', '..', 'node_modules', '.cache')

/** The sets of jars, each with the Maven project that brings it and the folder where it is kept. */
const JARS = {
  broker: { pom: join(here, 'pom.xml'), folder: join(cache, 'kafka-4.4.0') },
  tools: { pom: join(here, 'pom-tools.xml'), folder: join(cache, 'kafka-tools-4.3.1') },
} as const

type JarSet = keyof typeof JARS

const DOWNLOAD_MS = 300_000

/**
 * One line that says what keeps Kafka from being started here, and what to do; undefined where nothing does. The jars come
 * from Maven Central once, and are kept in `node_modules/.cache`.
 */
export function kafkaMissing(): string | undefined {
  const programs = existsSync(JARS.broker.folder) ? ['java'] : ['java', 'mvn']
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const missing = programs.filter((name) => !folders.some((folder) => existsSync(join(folder, name))))
  if (missing.length === 0) return undefined
  return `Kafka is not there: ${missing.join(' and ')} missing (Debian: apt-get install openjdk-17-jre-headless maven).`
}

/** The class path of a set of jars, which Maven downloads where it is not there yet. */
export async function classPath(set: JarSet): Promise<string> {
  const { pom, folder } = JARS[set]
  mkdirSync(cache, { recursive: true })
  return join(await madeOnce(folder, (aside) => download(pom, aside)), '*')
}

async function download(pom: string, aside: string): Promise<void> {
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${aside}`]
  await run('mvn', ['-B', '-q', '-f', pom, ...goal], { timeout: DOWNLOAD_MS })
}
