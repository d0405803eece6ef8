import { readFileSync } from 'node:fs'
import { request as requestPlainly } from 'node:http'
import { request as requestSecurely } from 'node:https'
import { type ConnectionOptions, getCACertificates } from 'node:tls'
import { TapelineError } from '../errors.ts'

interface Request {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly signal: AbortSignal
}

interface Answer {
  readonly status: number
  readonly text: string
}

/** Sends a request, and reads the whole answer. `fetch` cannot be told which certificate to trust. */
export function send(
  url: URL,
  tls: ConnectionOptions,
  { method, headers, body, signal }: Request,
): Promise<Answer> {
  const answered = Promise.withResolvers<Answer>()
  const request = url.protocol === 'https:' ? requestSecurely : requestPlainly
  const sent = request(url, { ...tls, method, headers, signal }, (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (part: string) => {
      text += part
    })
    response.on('error', answered.reject)
    response.on('end', () => answered.resolve({ status: response.statusCode ?? 0, text }))
  })
  sent.on('error', answered.reject)
  sent.end(body)
  return answered.promise
}

/**
 * Whom a connection trusts. `certificate`: that one alone, under any name, since a platform of this machine is reached under a loopback
 * name, which its certificate need not have. Without it the authorities of Node and the one in TAPELINE_API_CA. Raises CONFIG_INVALID.
 */
export function trusting(certificate: string | undefined): ConnectionOptions {
  if (certificate !== undefined)
    return { ca: certificate, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
  const file = process.env['TAPELINE_API_CA']
  if (!file) return {}
  try {
    return { ca: [...getCACertificates(), readFileSync(file, 'utf8')] }
  } catch (error) {
    throw new TapelineError('CONFIG_INVALID', `TAPELINE_API_CA cannot be read: ${(error as Error).message}`, {
      remedy: 'Set it to the path of a PEM file that this user can read.',
    })
  }
}
