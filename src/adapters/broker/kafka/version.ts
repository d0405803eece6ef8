import { TapelineError } from '../../../errors.ts'
import type { ApiVersions } from './protocol.ts'

/** The key of the request and the version of it that Apache Kafka 3.7 brought: https://kafka.apache.org/protocol#protocol_api_keys */
const PRODUCE = 0
const PRODUCE_OF_3_7 = 10
const METADATA_VERSION = 'metadata.version'
/** Redpanda gives its clusters ids that begin so. */
const REDPANDA_ID = /^redpanda/i

/**
 * Which release the newest level of `metadata.version` that a broker supports belongs to.
 * Source: MetadataVersion.java of Apache Kafka.
 */
const RELEASES: readonly (readonly [level: number, release: string])[] = [
  [26, '4.1'],
  [22, '4.0'],
  [21, '3.9'],
  [20, '3.8'],
  [15, '3.7'],
]

/** What a broker says of itself. */
export interface BrokerVersion {
  readonly kind: 'kafka' | 'redpanda'
  /** For people: `Apache Kafka 3.9`, `Apache Kafka 4.1 or newer (metadata.version 33)`, `Redpanda`. */
  readonly text: string
}

/**
 * What can be told of a broker's version; a broker never says it outright. Raises BROKER_UNSUPPORTED for Apache Kafka before
 * 3.7. Redpanda tells no version: there each request that it lacks shows by itself.
 */
export function brokerVersion(answer: ApiVersions, clusterId: string | null): BrokerVersion {
  if (REDPANDA_ID.test(clusterId ?? '')) return { kind: 'redpanda', text: 'Redpanda' }
  const level = answer.supportedFeatures?.find(({ name }) => name === METADATA_VERSION)?.maxVersion ?? 0
  const produce = answer.apiKeys.find(({ apiKey }) => apiKey === PRODUCE)?.maxVersion ?? 0
  if (produce < PRODUCE_OF_3_7) {
    throw new TapelineError('BROKER_UNSUPPORTED', 'the broker is Apache Kafka before 3.7, or something else')
  }
  return { kind: 'kafka', text: releaseText(level) }
}

function releaseText(level: number): string {
  const found = RELEASES.find(([lowest]) => level >= lowest)
  if (found === undefined) return 'Apache Kafka 3.7 or newer'
  const [lowest, release] = found
  const isNewest = RELEASES[0]?.[0] === lowest
  return `Apache Kafka ${release}${isNewest ? ` or newer (${METADATA_VERSION} ${level})` : ''}`
}
