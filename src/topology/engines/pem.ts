import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Config } from '../../config.ts'
import { TapelineError } from '../../errors.ts'

/** What a TLS connection is made with: PEM texts. */
export interface PemTexts {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/**
 * Reads the PEM files that the settings of the broker name, and checks that they are certificates, and a key that belongs to
 * the certificate. Raises CONFIG_INVALID naming the setting; no text of a file is in it.
 */
export function readBrokerPem({ tlsCa, tlsCert, tlsKey }: Config['broker']): PemTexts {
  const ca = readAuthority('broker.tlsCa', tlsCa)
  return { ...(ca !== undefined && { ca }), ...readKeyPair('broker', { tlsCert, tlsKey }) }
}

/**
 * A certificate with its key, from the files that the settings of a section name; undefined where they name none. Raises
 * CONFIG_INVALID like `readBrokerPem`.
 */
export function readKeyPair(
  section: 'broker' | 'gateway' | 'operations',
  { tlsCert, tlsKey }: Pick<Config['gateway'], 'tlsCert' | 'tlsKey'>,
): { readonly cert: string; readonly key: string } | undefined {
  const [certField, keyField] = [`${section}.tlsCert`, `${section}.tlsKey`]
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined) throw refused(certField, undefined, 'is missing: a key is of no use alone')
  if (tlsKey === undefined) throw refused(keyField, undefined, 'is missing: a certificate needs its key')
  const cert = readText(certField, tlsCert)
  const key = readText(keyField, tlsKey)
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    throw refused(certField, tlsCert, `cannot be used with ${tlsKey}: ${(error as Error).message}`)
  }
  return { cert, key }
}

/** The certificate authority in a file, as PEM text; undefined where no file is named. Raises CONFIG_INVALID. */
export function readAuthority(field: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  const text = readText(field, path)
  try {
    // A file without a certificate is taken by the TLS library in silence, and then trusts nobody.
    new X509Certificate(text)
  } catch {
    throw refused(field, path, 'is not a certificate in PEM')
  }
  return text
}

function readText(field: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    // Somebody may have written the key itself where its file belongs, and the message repeats the path.
    if (IS_PEM.test(path)) throw refused(field, undefined, 'is no path: it has the text of a PEM file')
    throw refused(field, path, `cannot be read: ${(error as Error).message}`)
  }
}

const IS_PEM = /-----BEGIN|\n/

function refused(field: string, value: string | undefined, message: string): TapelineError {
  const remedy = `Correct ${field}: the path of a PEM file that this user can read.`
  return new TapelineError(
    'CONFIG_INVALID',
    `${field}${value === undefined ? '' : ` = ${value}`} ${message}`,
    {
      remedy,
      fields: [{ field, value, message, remedy }],
    },
  )
}
