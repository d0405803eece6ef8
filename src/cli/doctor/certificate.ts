import { X509Certificate } from 'node:crypto'
import type { Config } from '../../config.ts'
import { toTapelineError } from '../../errors.ts'
import { readServerTls, serverSection } from '../../topology/certificate.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

const DAY_MS = 86_400_000
/** Whoever renews certificates by a program does so weeks before their end. */
const SOON_DAYS = 14

/** Whether the certificate that the server shows belongs to its key, and how long it is good for; nothing where it speaks plain HTTP. */
export function checkCertificate(config: Config, now: number): Finding[] {
  const check = 'certificate'
  try {
    const tls = readServerTls(config)
    if (tls === undefined) return []
    const { validFromDate, validToDate, subject, subjectAltName } = new X509Certificate(tls.cert)
    const whose = subjectAltName ?? subject.replaceAll('\n', ', ')
    const until = validToDate.toISOString().slice(0, 10)
    const days = Math.floor((validToDate.getTime() - now) / DAY_MS)
    const file = `${serverSection(config)}.tlsCert`
    const remedy = `Put a new one and its key where ${file} and its tlsKey say, and send the process SIGHUP.`
    if (validToDate.getTime() <= now) return [fail(check, `${whose}: over since ${until}`, remedy)]
    if (validFromDate.getTime() > now)
      return [fail(check, `${whose}: not good before ${validFromDate.toISOString()}`, remedy)]
    if (days < SOON_DAYS) return [warn(check, `${whose}: good for ${days} more days, until ${until}`, remedy)]
    return [ok(check, `${whose}: belongs to its key, and is good until ${until}`)]
  } catch (error) {
    const { message, remedy } = toTapelineError(error)
    return [fail(check, message, remedy)]
  }
}
