import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Config } from '../config.ts'
import { ROLES } from '../config-schema.ts'
import { TapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import { usesFolder } from './engines/roles.ts'

const schema = z.object({
  pid: z.number().int(),
  api: z.string(),
  roles: z.array(z.enum(ROLES)).default([...ROLES]),
  // Commands of this machine trust this one, whatever name it is for and whoever signed it.
  certificate: z.string().optional(),
})

/** What a running process says of itself in its data folder: where its API is, or its address for operations. */
export type RunFile = z.infer<typeof schema>

const SHARED = 'run.json'
const OWN = /^run-(\d+)\.json$/

const ownName = (pid: number): string => `run-${pid}.json`

interface AnnouncedRun {
  update(change: Pick<RunFile, 'certificate'>): void
  remove(): void
}

/**
 * Writes the run files of this process. One that has the data folder to itself writes `run.json`. With servers several processes
 * of a machine may share a folder: each has a `run-PID.json` of its own there, and `run.json` is of the first that came, or of the
 * first gateway once there is one. `update` changes, and `remove` takes away, only what is of this process. Raises DATA_FOLDER_UNUSABLE; with servers,
 * which do not depend on the folder, a warning is logged instead.
 */
export function announceRun(config: Config, run: RunFile, log: Log): AnnouncedRun {
  const folder = config.data
  try {
    if (usesFolder(config)) {
      write(folder, SHARED, run)
    } else {
      mkdirSync(folder, { recursive: true })
      removeStale(folder)
      write(folder, ownName(run.pid), run)
      const first = readIn(folder, SHARED)
      if (first === undefined || (servesApplications(run) && !servesApplications(first)))
        write(folder, SHARED, run)
    }
  } catch (error) {
    const reason = `${folder} cannot be written: ${(error as Error).message}`
    if (usesFolder(config)) throw new TapelineError('DATA_FOLDER_UNUSABLE', reason, { cause: error })
    log.warn({ code: 'DATA_FOLDER_UNUSABLE', reason }, 'commands on this machine need --api URL')
  }
  const own = (): readonly string[] =>
    [SHARED, ownName(run.pid)].filter((name) => readIn(folder, name)?.pid === run.pid)
  return {
    update(change) {
      for (const name of own()) write(folder, name, { ...run, ...change })
    },
    remove() {
      for (const name of own()) rmSync(join(folder, name), { force: true })
    },
  }
}

/**
 * The process to talk to on a data folder: one with the role gateway where there is one. Undefined where none runs; a file left
 * by a killed process counts as none.
 */
export function readRunFile(folder: string): RunFile | undefined {
  const shared = readIn(folder, SHARED)
  if (shared !== undefined && servesApplications(shared)) return shared
  const others = ownFiles(folder).flatMap((name) => readIn(folder, name) ?? [])
  return others.find(servesApplications) ?? shared ?? others[0]
}

function servesApplications({ roles }: RunFile): boolean {
  return roles.includes('gateway')
}

function write(folder: string, name: string, run: RunFile): void {
  // Written beside and moved there: a reader never finds half a file.
  const beside = join(folder, `.${name}.${run.pid}`)
  writeFileSync(beside, `${JSON.stringify(run)}\n`)
  renameSync(beside, join(folder, name))
}

function readIn(folder: string, name: string): RunFile | undefined {
  try {
    const run = schema.parse(JSON.parse(readFileSync(join(folder, name), 'utf8')))
    process.kill(run.pid, 0)
    return run
  } catch {
    // No file, no such process, or none of ours: in every case nobody is there to talk to.
    return undefined
  }
}

function ownFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => OWN.test(name))
  } catch {
    return []
  }
}

function removeStale(folder: string): void {
  for (const name of ownFiles(folder)) {
    if (readIn(folder, name) === undefined) rmSync(join(folder, name), { force: true })
  }
}
