import type { ConnectionOptions } from 'node:tls'
import type { z } from 'zod'
import { deadlineAfter } from '../async/timers.ts'
import { type Config, loadConfig } from '../config.ts'
import { ERROR_KINDS, type ErrorCode, type FieldError, TapelineError } from '../errors.ts'
import { problemSchema } from '../gateway/schemas/operations.ts'
import { readRunFile } from '../topology/run-file.ts'
import { send, trusting } from './api-connection.ts'
import { type Flags, textFlag } from './command.ts'

/** How long one request may take, unless the caller knows better. */
const REQUEST_MS = 20_000

/** Where a platform is, and whom its certificate may be from. */
interface Target {
  /** `http://HOST:PORT` or the same with https. */
  readonly api: string
  /** The one certificate that is trusted, under any name: what a platform of this machine says of itself. */
  readonly certificate?: string | undefined
}

/** Flags of every command that talks to a running platform. */
export const TARGET_OPTIONS = {
  data: { type: 'string' },
  api: { type: 'string' },
  config: { type: 'string' },
} as const

export const TARGET_HELP = `  --data DIR      data folder of the platform (default: .tapeline)
  --config FILE   its configuration, which names data folder and servers (default: tapeline.yaml, if any)
  --api URL       address of the platform, where its data folder is not at hand (default: TAPELINE_API, if set)
  TAPELINE_API_KEY has your key, where the platform has keys. TAPELINE_API_CA names a PEM file with the
  authority of an https address, where Node does not know it.`

interface ApiCall {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly body?: unknown
  readonly timeoutMs?: number
  /** A status whose answer has the schema as well, though it is no success. */
  readonly alsoReads?: number
}

/** The API of a running platform. */
export interface ApiClient {
  /** `http://HOST:PORT` or the same with https, without a slash at its end. */
  readonly address: string
  /** What an https address is connected to with. */
  readonly tls: ConnectionOptions
  /** What authorises a request; empty without a key. */
  readonly headers: Readonly<Record<string, string>>
  /**
   * Sends a request and reads the answer by its schema. Raises what the platform answers, NOT_RUNNING where nobody (or somebody
   * else) answers, TIMEOUT; and the signal's reason when it is aborted.
   */
  call<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    signal: AbortSignal,
    options?: ApiCall,
  ): Promise<z.output<Schema>>
}

/** The configuration that the flags name. Raises CONFIG_INVALID. */
export function targetConfig(flags: Flags): Config {
  const data = textFlag(flags, 'data')
  return loadConfig({
    file: textFlag(flags, 'config'),
    environment: process.env,
    flags: data === undefined ? {} : { data },
  })
}

/** The data folder that the flags, the environment or the configuration name. Raises CONFIG_INVALID. */
function dataFolder(flags: Flags): string {
  return textFlag(flags, 'data') ?? targetConfig(flags).data
}

/**
 * The platform that the flags name; undefined where none runs on the data folder. Processes without the role gateway answer
 * only for themselves (`any`: their actors); they do not count otherwise. Raises USAGE, CONFIG_INVALID.
 */
export function findPlatform(flags: Flags, kind: 'gateway' | 'any' = 'gateway'): ApiClient | undefined {
  const address = namedAddress(flags)
  if (address !== undefined) return connectTo({ api: address })
  const run = readRunFile(dataFolder(flags))
  if (run === undefined || (kind === 'gateway' && !run.roles.includes('gateway'))) return undefined
  return connectTo(run)
}

/** Like findPlatform, but raises NOT_RUNNING where there is none; `why` says what it is needed for. */
export function requirePlatform(flags: Flags, kind: 'gateway' | 'any' = 'gateway', why = ''): ApiClient {
  const client = findPlatform(flags, kind)
  if (client) return client
  const what = kind === 'gateway' ? 'no platform with the role gateway' : 'no platform'
  throw new TapelineError(
    'NOT_RUNNING',
    `${what} runs on the data folder ${dataFolder(flags)}${why && `: ${why}`}`,
  )
}

/**
 * Asks a platform where one runs, else goes straight to the data folder or the servers. The file of a killed platform may name
 * a process that is somebody else by now: then it counts as none.
 */
export async function throughPlatformOr<T>(
  flags: Flags,
  ask: (client: ApiClient) => Promise<T>,
  direct: () => Promise<T>,
): Promise<T> {
  const client = findPlatform(flags)
  if (client === undefined) return await direct()
  try {
    return await ask(client)
  } catch (error) {
    const isGone = error instanceof TapelineError && error.code === 'NOT_RUNNING'
    if (!isGone || namedAddress(flags) !== undefined) throw error
    return await direct()
  }
}

/** A client of the API at an address, with the key in TAPELINE_API_KEY. Raises CONFIG_INVALID (TAPELINE_API_CA). */
export function connectTo({ api: address, certificate }: Target): ApiClient {
  const key = process.env['TAPELINE_API_KEY']
  const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {}
  const tls = address.startsWith('https:') ? trusting(certificate) : {}
  const target = { address, headers, tls }
  return {
    ...target,
    async call(path, schema, signal, options = {}) {
      const { text, isRead } = await exchange(target, path, signal, options)
      if (!isRead) throw problemError(text, address)
      const body = text === '' ? undefined : parsedJson(text)
      if (body instanceof SyntaxError) throw notTapeline(address)
      const parsed = schema.safeParse(body)
      if (parsed.success) return parsed.data
      throw new TapelineError('INTERNAL', `${address}${path} answered in a form that is not known here`, {
        cause: parsed.error,
        remedy: 'Use the tapeline command of the same version as the platform.',
      })
    },
  }
}

/** The error in a problem document that the platform answered with; NOT_RUNNING where it is none. */
export function problemError(text: string, address: string): TapelineError {
  const parsed = problemSchema.safeParse(parsedJson(text))
  if (!parsed.success) return notTapeline(address)
  const { code, detail, remedy, errors } = parsed.data
  return answeredError(code, detail, { remedy, ...(errors && { fields: errors }) })
}

/** An error that the platform answered with, under its own code where that is known here. */
export function answeredError(
  code: string,
  message: string,
  details: { readonly remedy?: string; readonly fields?: readonly FieldError[] },
): TapelineError {
  if (isErrorCode(code)) return new TapelineError(code, message, details)
  return new TapelineError('INTERNAL', `${code}: ${message}`, details)
}

async function exchange(
  { address, headers, tls }: Pick<ApiClient, 'address' | 'headers' | 'tls'>,
  path: string,
  signal: AbortSignal,
  { method = 'GET', body, timeoutMs = REQUEST_MS, alsoReads }: ApiCall,
): Promise<{ readonly text: string; readonly isRead: boolean }> {
  const deadline = deadlineAfter(timeoutMs)
  try {
    const { status, text } = await send(new URL(path, address), tls, {
      method,
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      signal: AbortSignal.any([signal, deadline]),
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    return { text, isRead: (status >= 200 && status < 300) || status === alsoReads }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (deadline.aborted) {
      throw new TapelineError('TIMEOUT', `${address} did not answer within ${timeoutMs / 1000} s`, {
        cause: error,
      })
    }
    throw new TapelineError('NOT_RUNNING', `no platform answers at ${address}${reasonOf(error)}`, {
      cause: error,
      ...(isOfCertificate(error) && {
        remedy: 'Set TAPELINE_API_CA to the authority that signed its certificate, a PEM file.',
      }),
    })
  }
}

/** Why a connection failed, in the words of the system. */
function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? ` (${error.code})` : ''
}

function isOfCertificate(error: unknown): boolean {
  return /CERT|ISSUER|SIGNATURE/.test(reasonOf(error))
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return error
  }
}

function notTapeline(address: string): TapelineError {
  return new TapelineError('NOT_RUNNING', `what answers at ${address} is no Tapeline platform`)
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_KINDS, code)
}

/** The address from --api, else from TAPELINE_API unless a flag names a data folder or a configuration. Raises USAGE. */
function namedAddress(flags: Flags): string | undefined {
  const given = textFlag(flags, 'api')
  const isElsewhere = flags['data'] !== undefined || flags['config'] !== undefined
  const text = given ?? (isElsewhere ? undefined : process.env['TAPELINE_API'] || undefined)
  if (text === undefined) return undefined
  const url = URL.parse(text)
  if (url && /^https?:$/.test(url.protocol)) return url.origin
  const name = given === undefined ? 'TAPELINE_API' : '--api'
  throw new TapelineError(
    'USAGE',
    `${name} takes an address such as http://127.0.0.1:8080, not ${JSON.stringify(text)}`,
  )
}
