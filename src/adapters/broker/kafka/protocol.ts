import {
  apiVersionsV3,
  type Connection,
  createTopicsV5,
  createTopicsV6,
  createTopicsV7,
  deleteTopicsV4,
  deleteTopicsV5,
  deleteTopicsV6,
  describeConfigsV2,
  describeConfigsV3,
  describeConfigsV4,
  fetchV11,
  fetchV12,
  fetchV13,
  fetchV15,
  fetchV16,
  fetchV17,
  initProducerIdV3,
  initProducerIdV4,
  initProducerIdV5,
  listOffsetsV4,
  listOffsetsV5,
  listOffsetsV6,
  listOffsetsV7,
  metadataV9,
  metadataV10,
  metadataV11,
  metadataV12,
  produceV7,
  produceV8,
  produceV9,
  produceV10,
  produceV11,
} from '@platformatic/kafka'
import { TapelineError } from '../../../errors.ts'

/**
 * The requests that the adapter sends itself, each with the versions that it speaks, the newest first. It sends requests
 * rather than use the library's producer and consumer, since only so the sequence numbers, the number of sends in flight and
 * the outcome of each partition are its own (docs/decisions/kafka-requests.md).
 */
export const REQUESTS = {
  metadata: [metadataV12.api, metadataV11.api, metadataV10.api, metadataV9.api],
  listOffsets: [listOffsetsV7.api, listOffsetsV6.api, listOffsetsV5.api, listOffsetsV4.api],
  fetch: [fetchV17.api, fetchV16.api, fetchV15.api, fetchV13.api, fetchV12.api, fetchV11.api],
  produce: [produceV11.api, produceV10.api, produceV9.api, produceV8.api, produceV7.api],
  initProducerId: [initProducerIdV5.api, initProducerIdV4.api, initProducerIdV3.api],
  createTopics: [createTopicsV7.api, createTopicsV6.api, createTopicsV5.api],
  deleteTopics: [deleteTopicsV6.api, deleteTopicsV5.api, deleteTopicsV4.api],
  describeConfigs: [describeConfigsV4.api, describeConfigsV3.api, describeConfigsV2.api],
} as const

export type RequestName = keyof typeof REQUESTS

/** From this version on a fetch names topics by id, and metadata tells it. */
export const FETCH_BY_ID = 13

/** The versions of each request, by its key, that a broker speaks. */
export type SpokenVersions = ReadonlyMap<number, { readonly minVersion: number; readonly maxVersion: number }>

export async function askVersions(connection: Connection): Promise<SpokenVersions> {
  const { apiKeys } = await apiVersionsV3.api.async(connection, 'tapeline', '1')
  return new Map(apiKeys.map((each) => [each.apiKey, each]))
}

/** One version of a request, whatever it takes and gives. */
interface Version {
  readonly key: number
  readonly version: number
  readonly async: (connection: Connection, ...args: never[]) => Promise<unknown>
}

/** The newest version that both sides speak. Raises BROKER_UNSUPPORTED. */
export function negotiate(name: RequestName, spoken: SpokenVersions): Version {
  const versions: readonly Version[] = REQUESTS[name]
  const found = versions.find(({ key, version }) => {
    const range = spoken.get(key)
    return range !== undefined && range.minVersion <= version && version <= range.maxVersion
  })
  if (found !== undefined) return found
  const range = spoken.get(versions[0]?.key ?? -1)
  const theirs = range === undefined ? 'not at all' : `versions ${range.minVersion} to ${range.maxVersion}`
  throw new TapelineError('BROKER_UNSUPPORTED', `the broker speaks ${name} ${theirs}, which is not enough`)
}
