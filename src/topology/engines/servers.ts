import type { KafkaSettings } from '../../adapters/broker/kafka.ts'
import type { TimescaleSettings } from '../../adapters/store/timescale.ts'
import { deadlineAfter } from '../../async/timers.ts'
import type { Config } from '../../config.ts'
import { type ErrorCode, type FieldError, TapelineError } from '../../errors.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import type { Store } from '../../ports/store.ts'
import type { ServerNames } from '../waiting.ts'
import { readAuthority, readBrokerPem } from './pem.ts'

/** How long one attempt to open a server may take. */
const ATTEMPT_MS = 8_000

/** The servers that a configuration names, as people know them; undefined for an engine within this process. */
export function serverNames({ broker, store }: Config): ServerNames {
  const database = store.url.replace(/^[a-z]+:\/\/([^/]*@)?/i, '')
  return {
    broker: broker.kind === 'kafka' ? `the broker at ${broker.bootstrap.join(',')}` : undefined,
    store: store.kind === 'timescale' ? `the database at ${database}` : undefined,
  }
}

/**
 * What the Kafka adapter is opened with; PEM files are read. Raises CONFIG_INVALID where a file cannot be used or the login is
 * incomplete.
 */
export function kafkaSettings(config: Config, log: Log): KafkaSettings {
  const { bootstrap, clientId, compression, replication, sessionTimeout: sessionMs } = config.broker
  const sasl = login(config)
  return {
    bootstrap,
    clientId,
    compression,
    replication,
    sessionMs,
    ...(config.broker.tls && { tls: readBrokerPem(config.broker) }),
    ...(sasl && { sasl }),
    log,
  }
}

const MECHANISMS = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const

function login({ broker, brokerPassword: password }: Config): KafkaSettings['sasl'] {
  if (broker.sasl === 'none') return undefined
  const { username } = broker
  if (username === undefined) throw incomplete('broker.username', 'Set broker.username.')
  if (password === undefined) {
    const remedy = 'Set TAPELINE_BROKER_PASSWORD, or broker.passwordFile.'
    throw incomplete('broker.passwordFile', remedy)
  }
  return { mechanism: MECHANISMS[broker.sasl], username, password }
}

function incomplete(field: string, remedy: string): TapelineError {
  const fields: FieldError[] = [{ field, value: undefined, message: 'is missing for broker.sasl', remedy }]
  return new TapelineError('CONFIG_INVALID', `${field} is missing for broker.sasl`, { remedy, fields })
}

/** What the TimescaleDB adapter is opened with; the PEM file is read. Raises CONFIG_INVALID where it cannot be used. */
export function timescaleSettings(
  { store, storePassword, queryPassword }: Config,
  log: Log,
): TimescaleSettings {
  const ca = readAuthority('store.tlsCa', store.tlsCa)
  return {
    url: store.url,
    ...(storePassword !== undefined && { password: storePassword }),
    ...(store.queryUrl !== undefined && {
      queries: { url: store.queryUrl, ...(queryPassword !== undefined && { password: queryPassword }) },
    }),
    tls: store.tls,
    ...(ca !== undefined && { ca }),
    lanes: store.lanes,
    statementTimeoutMs: store.statementTimeout,
    ...(store.chunkInterval !== undefined && { chunkIntervalMs: store.chunkInterval }),
    jobs: store.jobs,
    columnstoreAfterMs: store.columnstoreAfter,
    retentionMs: store.retention,
    log,
  }
}

/** One attempt to open the broker's server. Raises CONFIG_INVALID and the BROKER_ codes; the library is loaded only here. */
export async function openKafka(config: Config, log: Log, signal: AbortSignal): Promise<Broker> {
  const settings = kafkaSettings(config, log)
  const { openKafkaBroker } = await import('../../adapters/broker/kafka.ts')
  const opened = attempt('BROKER_UNAVAILABLE', (deadline) => openKafkaBroker(settings, deadline), signal)
  return opened.catch((error: unknown) => {
    if (!(error instanceof TapelineError)) throw error
    const { code, message, remedy } = error
    throw new TapelineError(code, `${serverNames(config).broker}: ${message}`, { cause: error, remedy })
  })
}

/** One attempt to open the database's server. Raises CONFIG_INVALID and the STORE_ codes; the library is loaded only here. */
export async function openTimescale(config: Config, log: Log, signal: AbortSignal): Promise<Store> {
  const settings = timescaleSettings(config, log)
  const { openTimescaleStore } = await import('../../adapters/store/timescale.ts')
  return attempt('STORE_UNAVAILABLE', (deadline) => openTimescaleStore(settings, deadline), signal)
}

async function attempt<T>(
  code: ErrorCode,
  open: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const deadline = deadlineAfter(ATTEMPT_MS)
  try {
    return await open(AbortSignal.any([signal, deadline]))
  } catch (error) {
    if (signal.aborted) throw signal.reason
    const isLate = deadline.aborted && !(error instanceof TapelineError)
    throw isLate
      ? new TapelineError(code, `no answer within ${ATTEMPT_MS / 1000} s`, { cause: error })
      : error
  }
}
