import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const schema = z.object({ pid: z.number().int(), api: z.string() })

/** What a running platform says of itself in its data folder. */
export type RunFile = z.infer<typeof schema>

const pathIn = (folder: string): string => join(folder, 'run.json')

export function writeRunFile(folder: string, run: RunFile): void {
  writeFileSync(pathIn(folder), `${JSON.stringify(run)}\n`)
}

export function removeRunFile(folder: string): void {
  rmSync(pathIn(folder), { force: true })
}

/** The platform that runs on a data folder; undefined where none does. A file left by a killed process counts as none. */
export function readRunFile(folder: string): RunFile | undefined {
  try {
    const run = schema.parse(JSON.parse(readFileSync(pathIn(folder), 'utf8')))
    process.kill(run.pid, 0)
    return run
  } catch {
    // No file, no such process, or a file that was being written: in every case nobody is there to talk to.
    return undefined
  }
}
