import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { hasStore } from '../../adapters/store/embedded/folder.ts'
import type { Config } from '../../config.ts'
import { partitionsRemedy } from '../../control/topics.ts'
import { fixedTopic } from '../../domain/events.ts'
import { TapelineError } from '../../errors.ts'
import { sqlResultSchema } from '../../gateway/schemas/market-data.ts'
import { topicsSchema } from '../../gateway/schemas/topics.ts'
import type { Log } from '../../ports/log.ts'
import type { SqlResult } from '../../ports/store.ts'
import { openLogAlone, openStoreAlone } from '../../topology/engines.ts'
import type { ApiClient } from '../api-client.ts'
import { type Finding, fail, failure, ok, warn } from './finding.ts'
import { prefixFindings } from './prefixes.ts'

const STORE_MS = 8_000
/** How long a running platform may take to answer. */
const ANSWER_MS = 4_000

const STORE_QUERY = `select current_setting('server_version') as server,
  (select extversion from pg_extension where extname = 'timescaledb') as extension,
  (select count(*) from pg_settings where name like 'timescaledb.%') as settings,
  current_setting('timescaledb.license', true) as license`

interface Topic {
  readonly name: string
  readonly partitions: number
  readonly offsets: readonly { readonly earliest: number; readonly end: number }[]
}

/**
 * Looks at the engines of a data folder: through the platform that runs on it, else by opening them, one after the other, since
 * each takes the folder's lock. `which` leaves out those that are servers, or that no role uses.
 */
export async function checkEmbedded(
  config: Config,
  which: { readonly broker: boolean; readonly store: boolean },
  client: ApiClient | undefined,
  log: Log,
  signal: AbortSignal,
): Promise<Finding[]> {
  const findings: Finding[] = []
  if (which.broker)
    findings.push(
      ...(client ? [await askTopics(config, client, signal)] : await checkLog(config, log, signal)),
    )
  if (which.store) findings.push(await (client ? askStore(client, signal) : checkStore(config, log, signal)))
  return findings
}

async function askTopics(config: Config, client: ApiClient, signal: AbortSignal): Promise<Finding> {
  try {
    const options = { timeoutMs: ANSWER_MS }
    const { topics } = await client.call('/v1/topics?all=true', topicsSchema, signal, options)
    return topicsFinding(config, topics)
  } catch (error) {
    return failure('broker', error)
  }
}

async function askStore(client: ApiClient, signal: AbortSignal): Promise<Finding> {
  try {
    const body = { sql: STORE_QUERY }
    const options = { method: 'POST', body, timeoutMs: ANSWER_MS } as const
    return storeFinding(await client.call('/v1/sql', sqlResultSchema, signal, options))
  } catch (error) {
    return failure('store', error)
  }
}

async function checkLog(config: Config, log: Log, signal: AbortSignal): Promise<Finding[]> {
  if (!existsSync(join(config.data, 'broker')))
    return [ok('broker', 'nothing there yet: made at the first start')]
  try {
    const { reader, close } = await openLogAlone(config, log, signal)
    try {
      return [
        topicsFinding(config, await reader.listTopics('', signal)),
        ...(await prefixFindings(config, reader, signal)),
      ]
    } finally {
      await close()
    }
  } catch (error) {
    return [failure('broker', error)]
  }
}

function topicsFinding({ topics: settings }: Config, topics: readonly Topic[]): Finding {
  const trades = topics.find(({ name }) => name === fixedTopic(settings.prefix, 'trade'))
  if (trades && trades.partitions !== settings.partitions) {
    const detail = `${trades.name} has ${trades.partitions} partitions, the configuration says ${settings.partitions}`
    return fail('broker', detail, partitionsRemedy(trades.partitions))
  }
  const records = topics
    .flatMap(({ offsets }) => offsets)
    .reduce((sum, { earliest, end }) => sum + end - earliest, 0)
  return ok('broker', `readable: ${topics.length} topics, ${records} records`)
}

async function checkStore(config: Config, log: Log, signal: AbortSignal): Promise<Finding> {
  if (!hasStore(join(config.data, 'store'))) return ok('store', 'nothing there yet: made at the first start')
  try {
    const { store, close } = await openStoreAlone(config, log, signal, { mustExist: true })
    try {
      return storeFinding(await store.query(STORE_QUERY, { maxRows: 1, timeoutMs: STORE_MS }, signal))
    } finally {
      await close()
    }
  } catch (error) {
    return failure('store', error)
  }
}

function storeFinding({ rows: [row] }: SqlResult): Finding {
  if (row === undefined) throw new TapelineError('INTERNAL', 'the database answered without a row')
  const { server, extension, settings, license } = row
  if (extension === null) {
    return warn(
      'store',
      `PostgreSQL ${server} without TimescaleDB`,
      'Install TimescaleDB: without it there are no hypertables, columnstore and candles from aggregates.',
    )
  }
  if (settings === 0) {
    const remedy = 'Do not write to it: stored data looks empty. Please report this.'
    return fail('store', `TimescaleDB ${extension} is there, but not loaded`, remedy)
  }
  const detail = `TimescaleDB ${extension} is loaded on PostgreSQL ${server}, licence ${license}`
  if (license === 'timescale') return ok('store', detail)
  const remedy =
    'Use the community licence (timescaledb.license = timescale) for columnstore, aggregates and retention.'
  return warn('store', detail, remedy)
}
