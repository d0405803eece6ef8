import { constants, existsSync } from 'node:fs'
import { access, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { lockDataFolder } from '../../adapters/broker/embedded/lock.ts'
import type { Config } from '../../config.ts'
import { ERROR_KINDS, toTapelineError } from '../../errors.ts'
import { isLoopbackHost } from '../../gateway/guard.ts'
import { refuseTaken } from '../../gateway/listening.ts'
import type { RunFile } from '../../topology/run-file.ts'
import { type Finding, fail, failure, ok, warn } from './finding.ts'

const GIB = 2 ** 30
/** A day of 100 trades a second takes about 2 GiB in the log and the database. */
const LITTLE_SPACE = 2 * GIB
const NO_SPACE = GIB / 4

export function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 15)) return ok('node', process.versions.node)
  return fail('node', `${process.versions.node} is older than 24.15`, ERROR_KINDS.NODE_TOO_OLD.remedy)
}

/** Whether the data folder, or where it would be made, can be written and has room. */
export async function checkFolder({ data }: Config): Promise<Finding[]> {
  const folder = resolve(data)
  const existing = nearestExisting(folder)
  try {
    await access(existing, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch {
    const remedy = ERROR_KINDS.DATA_FOLDER_UNUSABLE.remedy
    return [fail('data folder', `${existing} cannot be written by this user`, remedy)]
  }
  const { bavail, bsize } = await statfs(existing)
  const free = bavail * bsize
  const room = `${(free / GIB).toFixed(1)} GiB are free`
  const remedy = 'Free some space, or name a folder on another disk with --data.'
  return [
    ok('data folder', existing === folder ? folder : `${folder} will be made`),
    free < NO_SPACE
      ? fail('disk', room, remedy)
      : free < LITTLE_SPACE
        ? warn('disk', room, remedy)
        : ok('disk', room),
  ]
}

function nearestExisting(folder: string): string {
  let at = folder
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at)
  return at
}

/** Who holds the data folder: nobody, or the platform that says so in its run file. */
export function checkLock({ data }: Config, run: RunFile | undefined): Finding {
  if (run) return ok('lock', `held by the running platform (pid ${run.pid})`)
  if (!existsSync(data)) return ok('lock', 'free')
  try {
    lockDataFolder(data).release()
    return ok('lock', 'free')
  } catch (error) {
    if (toTapelineError(error).code !== 'DATA_FOLDER_LOCKED') return failure('lock', error)
    return warn(
      'lock',
      'held by a process that does not say that it runs',
      'It may be a platform that is starting or stopping, or another command: look again in some seconds.',
    )
  }
}

/** Whether the API, or without the role gateway the server for operations, can listen where it should. */
export async function checkPort(config: Config, run: RunFile | undefined): Promise<Finding> {
  const { roles, gateway, operations, apiKeys } = config
  const isGateway = roles.includes('gateway')
  const { host, port } = isGateway ? gateway : operations
  if (isGateway && apiKeys.length === 0 && !isLoopbackHost(host)) {
    return fail(
      'port',
      `${host} is a public address, and there are no API keys`,
      ERROR_KINDS.PUBLIC_WITHOUT_KEYS.remedy,
    )
  }
  if (run && Number(new URL(run.api).port) === port) return ok('port', `${port} is the running platform's`)
  try {
    await refuseTaken({ host, port })
    return ok('port', port === 0 ? 'any that is free' : `${host}:${port} is free`)
  } catch (error) {
    const { code, message } = toTapelineError(error)
    const other = 'Choose another address with --host or gateway.host, or another port with --port.'
    return fail('port', message, code === 'PORT_IN_USE' ? ERROR_KINDS.PORT_IN_USE.remedy : other)
  }
}
