import type { Config } from '../../config.ts'
import { type FieldError, TapelineError } from '../../errors.ts'

/** Whether a process with these roles uses the database: a producer or a coordinator needs no settings of it. */
export function needsStore({ roles }: Config): boolean {
  return roles.includes('consumer-fixed') || roles.includes('gateway')
}

/** Whether this process has an engine in the data folder, which is then its own alone (R18). */
export function usesFolder(config: Config): boolean {
  return config.broker.kind === 'embedded' || (config.store.kind === 'embedded' && needsStore(config))
}

/**
 * Refuses roles that could never work, since an embedded engine is in reach of one process only. Without a producer and a
 * coordinator in that process nothing would ever enter an embedded log, and no stream would ever be made. An embedded database
 * beside a Kafka broker must be filled by the process that serves it. Raises CONFIG_INVALID.
 */
export function refuseLonelyRoles({ roles, broker, store }: Config): void {
  const lacking = (needed: readonly Config['roles'][number][]): string =>
    needed.filter((role) => !roles.includes(role)).join(' and ')
  if (broker.kind === 'embedded') {
    const missing = lacking(['producer', 'coordinator'])
    if (missing === '') return
    throw refused(
      roles,
      `lack ${missing}, and no other process can reach the embedded broker of this one`,
      'Run all roles in one process, or set broker.kind to kafka to spread them over several.',
    )
  }
  const missing = lacking(['consumer-fixed', 'gateway'])
  if (store.kind === 'embedded' && (missing === 'consumer-fixed' || missing === 'gateway')) {
    throw refused(
      roles,
      `lack ${missing}, and no other process can reach the embedded database of this one`,
      'Run consumer-fixed and gateway in one process, or set store.kind to timescale.',
    )
  }
}

function refused(roles: Config['roles'], message: string, remedy: string): TapelineError {
  const fields: FieldError[] = [{ field: 'roles', value: roles, message, remedy }]
  return new TapelineError('CONFIG_INVALID', `roles (${roles.join(', ')}) ${message}`, { remedy, fields })
}
