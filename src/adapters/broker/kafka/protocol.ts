import {
  addPartitionsToTxnV1,
  addPartitionsToTxnV3,
  apiVersionsV3,
  type Connection,
  createTopicsV4,
  createTopicsV5,
  createTopicsV7,
  deleteTopicsV3,
  deleteTopicsV4,
  deleteTopicsV5,
  deleteTopicsV6,
  describeConfigsV1,
  describeConfigsV2,
  describeConfigsV4,
  describeGroupsV3,
  describeGroupsV5,
  endTxnV1,
  endTxnV3,
  findCoordinatorV1,
  findCoordinatorV2,
  findCoordinatorV3,
  heartbeatV1,
  heartbeatV3,
  heartbeatV4,
  initProducerIdV1,
  initProducerIdV3,
  initProducerIdV4,
  joinGroupV4,
  joinGroupV5,
  joinGroupV7,
  leaveGroupV1,
  leaveGroupV3,
  leaveGroupV4,
  listOffsetsV2,
  listOffsetsV4,
  listOffsetsV7,
  metadataV5,
  metadataV7,
  metadataV8,
  metadataV9,
  metadataV10,
  metadataV12,
  offsetCommitV5,
  offsetCommitV7,
  offsetCommitV8,
  offsetForLeaderEpochV3,
  offsetForLeaderEpochV4,
  syncGroupV1,
  syncGroupV3,
  syncGroupV5,
} from '@platformatic/kafka'
import { TapelineError } from '../../../errors.ts'
import { FETCH_VERSIONS } from './fetch-request.ts'
import { PRODUCE_VERSIONS } from './produce-request.ts'

/**
 * The requests that the adapter sends, each with the versions that it speaks, the newest first; the oldest ones are those of
 * Redpanda 24. It sends requests rather than use the library's producer and consumer, since only so sequence numbers, sends in
 * flight and the outcome of each partition are its own (docs/decisions/kafka-requests.md). Transactions stay below the versions
 * that are for brokers among themselves (adding partitions, from 4) or begin a transaction by the write itself.
 */
export const REQUESTS = {
  metadata: [
    metadataV12.api,
    metadataV10.api,
    metadataV9.api,
    metadataV8.api,
    metadataV7.api,
    metadataV5.api,
  ],
  listOffsets: [listOffsetsV7.api, listOffsetsV4.api, listOffsetsV2.api],
  fetch: FETCH_VERSIONS,
  offsetForLeaderEpoch: [offsetForLeaderEpochV4.api, offsetForLeaderEpochV3.api],
  produce: PRODUCE_VERSIONS,
  findCoordinator: [findCoordinatorV3.api, findCoordinatorV2.api, findCoordinatorV1.api],
  initProducerId: [initProducerIdV4.api, initProducerIdV3.api, initProducerIdV1.api],
  addPartitionsToTxn: [addPartitionsToTxnV3.api, addPartitionsToTxnV1.api],
  endTxn: [endTxnV3.api, endTxnV1.api],
  createTopics: [createTopicsV7.api, createTopicsV5.api, createTopicsV4.api],
  deleteTopics: [deleteTopicsV6.api, deleteTopicsV5.api, deleteTopicsV4.api, deleteTopicsV3.api],
  joinGroup: [joinGroupV7.api, joinGroupV5.api, joinGroupV4.api],
  syncGroup: [syncGroupV5.api, syncGroupV3.api, syncGroupV1.api],
  heartbeat: [heartbeatV4.api, heartbeatV3.api, heartbeatV1.api],
  leaveGroup: [leaveGroupV4.api, leaveGroupV3.api, leaveGroupV1.api],
  offsetCommit: [offsetCommitV8.api, offsetCommitV7.api, offsetCommitV5.api],
  describeConfigs: [describeConfigsV4.api, describeConfigsV2.api, describeConfigsV1.api],
  describeGroups: [describeGroupsV5.api, describeGroupsV3.api],
} as const

export type RequestName = keyof typeof REQUESTS

/** What a broker says of itself. */
export type ApiVersions = Awaited<ReturnType<typeof apiVersionsV3.api.async>>

export function askVersions(connection: Connection): Promise<ApiVersions> {
  return apiVersionsV3.api.async(connection, 'tapeline', '1')
}

/** The versions of each request, by its key, that a broker speaks. */
export type SpokenVersions = ReadonlyMap<number, { readonly minVersion: number; readonly maxVersion: number }>

export function spokenVersions({ apiKeys }: ApiVersions): SpokenVersions {
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
