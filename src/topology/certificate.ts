import { X509Certificate } from 'node:crypto'
import type { Config } from '../config.ts'
import { toTapelineError } from '../errors.ts'
import type { ServerTls } from '../gateway/options.ts'
import type { Log } from '../ports/log.ts'
import { readKeyPair } from './engines/pem.ts'

/** What the HTTP server of a process shows over TLS, as its files say now. */
export interface ServerCertificate {
  readonly current: ServerTls
  /** Calls back whenever other files are in use; gives a function that ends it. */
  follow(use: (tls: ServerTls) => void): () => void
  /** Reads the files no more. */
  close(): void
}

/** Which settings the server of a process has: those of the API, or without the role gateway those of its operations. */
export function serverSection({ roles }: Pick<Config, 'roles'>): 'gateway' | 'operations' {
  return roles.includes('gateway') ? 'gateway' : 'operations'
}

/** Reads certificate and key of the process's server; undefined where it speaks plain HTTP. Raises CONFIG_INVALID. */
export function readServerTls(config: Config): ServerTls | undefined {
  const section = serverSection(config)
  const settings = config[section]
  const pair = readKeyPair(section, settings)
  return pair && { ...pair, minVersion: settings.tlsMinVersion }
}

/**
 * The same, read again on SIGHUP. Files that cannot be used then are logged, and what was read before stays. A certificate that is
 * over is shown all the same, with a warning: whoever connects decides. Raises CONFIG_INVALID.
 */
export function openCertificate(config: Config, log: Log): ServerCertificate | undefined {
  const first = readServerTls(config)
  if (first === undefined) return undefined
  let current = first
  const users = new Set<(tls: ServerTls) => void>()
  warnIfOver(current, log)

  const readAgain = (): void => {
    try {
      const read = readServerTls(config)
      if (read === undefined) return
      for (const use of users) use(read)
      current = read
      log.info({ until: new X509Certificate(read.cert).validTo }, 'certificate and key were read again')
      warnIfOver(read, log)
    } catch (error) {
      const { code, message, fields } = toTapelineError(error)
      const field = fields[0]?.field
      log.error({ code, field, reason: message }, 'the certificate stays as it was: its files cannot be used')
    }
  }
  process.on('SIGHUP', readAgain)
  return {
    get current() {
      return current
    },
    follow(use) {
      users.add(use)
      return () => users.delete(use)
    },
    close: () => process.off('SIGHUP', readAgain),
  }
}

/** The certificate of the server alone, without those that signed it, as PEM. */
export function leafOf({ cert }: ServerTls): string {
  return new X509Certificate(cert).toString()
}

function warnIfOver({ cert }: ServerTls, log: Log): void {
  const { validTo, validToDate } = new X509Certificate(cert)
  if (validToDate.getTime() <= Date.now())
    log.warn({ until: validTo }, 'the certificate of the server is over: clients refuse it')
}
