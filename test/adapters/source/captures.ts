import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

const FOLDER = process.env['TAPELINE_CAPTURES'] ?? join(import.meta.dirname, '../../../../shared/captures')

/** The path of a recorded capture, or a line that says why a test is skipped. */
export function capture(name: string): { readonly path: string; readonly skip: string | false } {
  const path = join(FOLDER, name)
  const skip = existsSync(path)
    ? false
    : `no recorded captures: set TAPELINE_CAPTURES to the folder that has ${name}`
  return { path, skip }
}

/** Writes a capture of these lines into a folder that goes with the test. */
export async function writeCapture(t: TestContext, lines: readonly (string | Uint8Array)[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-capture-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'capture')
  await writeFile(path, Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')])))
  return path
}
