import { globSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))

/** What `npm test` starts a process for each of: files that stand alone, and a `together.ts` for all others of its folder. */
export function processFiles(): readonly string[] {
  const together = globSync('test/*/**/together.ts', { cwd: PROJECT })
  const shared = new Set(together.flatMap((file) => testsTogether(join(PROJECT, dirname(file)))))
  const all = globSync('test/**/!(*.long).test.ts', { cwd: PROJECT })
  return [...together, ...all.filter((file) => !shared.has(join(PROJECT, file)))].sort()
}

/** What `npm run test:long` starts a process for each of. */
export function longFiles(): readonly string[] {
  return globSync('test/**/*.long.test.ts', { cwd: PROJECT }).sort()
}

/**
 * The tests of a folder that share a process, which its `together.ts` is: all in it and in those below, but for the long ones and those
 * that want a process of their own (`NAME.alone.test.ts`).
 */
export function testsTogether(folder: string): readonly string[] {
  return globSync('**/!(*.long|*.alone).test.ts', { cwd: folder })
    .map((file) => join(folder, file))
    .sort()
}

/**
 * Runs the tests of a folder in this process: the start of one for each file takes longer than most of them. Each file is a suite with
 * its own hooks. A file that cannot be loaded fails like a test, and the others run.
 */
export function runTogether(folder: string): void {
  for (const file of testsTogether(folder)) {
    const name = relative(PROJECT, file)
    describe(name, async () => {
      try {
        await import(pathToFileURL(file).href)
      } catch (error) {
        test(`${name} loads`, () => Promise.reject(error))
      }
    })
  }
}
