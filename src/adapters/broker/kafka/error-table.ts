import { type ErrorCode, TapelineError } from '../../../errors.ts'

/**
 * What an answer with an error code tells whoever asked.
 * - `passes`: nothing was done, and asking again may help.
 * - `unknown`: it may have been done all the same. For a batch of records `produce-outcome.ts` says more.
 * - `next`: it says what to do next, and the part that asked does it; anywhere else it passes.
 * - `refused`: nothing was done, and asking again never helps.
 * - `fenced`: somebody else has taken over.
 * - `foreign`: it answers requests that the platform never sends. Should it come all the same, it passes.
 */
type Verdict = 'passes' | 'unknown' | 'next' | 'refused' | 'fenced' | 'foreign'

/** One code: its name in the protocol, what it tells, why, and the code of ours where it is refused. */
type Row = readonly [code: number, name: string, verdict: Verdict, reason: string, ours?: ErrorCode]

/** Every error code of the protocol up to Kafka 4.4. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const ROWS: readonly Row[] = [
  [-1, 'UNKNOWN_SERVER_ERROR', 'unknown', 'an error that the broker has no name for'],
  [1, 'OFFSET_OUT_OF_RANGE', 'next', 'a reader moves into the log'],
  [2, 'CORRUPT_MESSAGE', 'passes', 'what was sent arrived damaged, or the log is: sent or read anew'],
  [
    3,
    'UNKNOWN_TOPIC_OR_PARTITION',
    'next',
    'a topic that is new or moves; who asked decides when it is gone',
  ],
  [4, 'INVALID_FETCH_SIZE', 'refused', 'the sizes of fetches are constants of ours', 'BROKER_UNSUPPORTED'],
  [5, 'LEADER_NOT_AVAILABLE', 'passes', 'an election'],
  [6, 'NOT_LEADER_OR_FOLLOWER', 'unknown', 'the leader has moved; it may have appended before'],
  [7, 'REQUEST_TIMED_OUT', 'unknown', 'the broker waited for others in vain'],
  [8, 'BROKER_NOT_AVAILABLE', 'passes', 'a broker is stopping'],
  [9, 'REPLICA_NOT_AVAILABLE', 'passes', 'a replica moves'],
  [10, 'MESSAGE_TOO_LARGE', 'refused', 'larger than the topic takes', 'RECORD_TOO_LARGE'],
  [11, 'STALE_CONTROLLER_EPOCH', 'foreign', 'between brokers'],
  [12, 'OFFSET_METADATA_TOO_LARGE', 'refused', 'commits have no metadata', 'BROKER_UNSUPPORTED'],
  [13, 'NETWORK_EXCEPTION', 'unknown', 'a connection between brokers broke'],
  [14, 'COORDINATOR_LOAD_IN_PROGRESS', 'passes', 'a coordinator reads its log'],
  [15, 'COORDINATOR_NOT_AVAILABLE', 'next', 'the coordinator is looked for again'],
  [16, 'NOT_COORDINATOR', 'next', 'the coordinator is looked for again'],
  [17, 'INVALID_TOPIC_EXCEPTION', 'refused', 'a name that no topic may have', 'BROKER_REFUSED'],
  [18, 'RECORD_LIST_TOO_LARGE', 'refused', 'larger than a segment of the topic', 'RECORD_TOO_LARGE'],
  [19, 'NOT_ENOUGH_REPLICAS', 'unknown', 'replicas are down; treated as 20'],
  [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'unknown', 'the leader has it, too few others do'],
  [21, 'INVALID_REQUIRED_ACKS', 'refused', 'we always ask for all', 'BROKER_UNSUPPORTED'],
  [22, 'ILLEGAL_GENERATION', 'next', 'the group has gone on: the member joins anew'],
  [23, 'INCONSISTENT_GROUP_PROTOCOL', 'refused', 'members of another kind hold the group', 'BROKER_REFUSED'],
  [24, 'INVALID_GROUP_ID', 'refused', 'a name that no group may have', 'BROKER_REFUSED'],
  [25, 'UNKNOWN_MEMBER_ID', 'next', 'the group has given the member up: it joins anew'],
  [26, 'INVALID_SESSION_TIMEOUT', 'refused', 'outside of what the broker allows', 'BROKER_REFUSED'],
  [27, 'REBALANCE_IN_PROGRESS', 'next', 'the member joins again with what it has'],
  [28, 'INVALID_COMMIT_OFFSET_SIZE', 'refused', 'commits have no metadata', 'BROKER_UNSUPPORTED'],
  [29, 'TOPIC_AUTHORIZATION_FAILED', 'refused', 'rights on the topic are missing', 'BROKER_FORBIDDEN'],
  [30, 'GROUP_AUTHORIZATION_FAILED', 'refused', 'rights on the group are missing', 'BROKER_FORBIDDEN'],
  [31, 'CLUSTER_AUTHORIZATION_FAILED', 'refused', 'rights on the cluster are missing', 'BROKER_FORBIDDEN'],
  [32, 'INVALID_TIMESTAMP', 'refused', 'a time that the topic does not take', 'BROKER_REFUSED'],
  [33, 'UNSUPPORTED_SASL_MECHANISM', 'refused', 'the login is of another kind', 'BROKER_LOGIN_MISMATCH'],
  [34, 'ILLEGAL_SASL_STATE', 'refused', 'the listener takes no login', 'BROKER_LOGIN_MISMATCH'],
  [35, 'UNSUPPORTED_VERSION', 'refused', 'the broker is too old or too new', 'BROKER_UNSUPPORTED'],
  [36, 'TOPIC_ALREADY_EXISTS', 'refused', 'the name is taken', 'TOPIC_EXISTS'],
  [
    37,
    'INVALID_PARTITIONS',
    'refused',
    'a number of partitions that the broker does not take',
    'BROKER_REFUSED',
  ],
  [38, 'INVALID_REPLICATION_FACTOR', 'refused', 'more copies than there are brokers', 'BROKER_REFUSED'],
  [39, 'INVALID_REPLICA_ASSIGNMENT', 'refused', 'we leave the assignment to the broker', 'BROKER_REFUSED'],
  [40, 'INVALID_CONFIG', 'refused', 'a setting of the topic that the broker does not take', 'BROKER_REFUSED'],
  [41, 'NOT_CONTROLLER', 'next', 'the controller is looked for again'],
  [42, 'INVALID_REQUEST', 'refused', 'the broker does not understand the request', 'BROKER_UNSUPPORTED'],
  [43, 'UNSUPPORTED_FOR_MESSAGE_FORMAT', 'refused', 'the topic has an old format', 'BROKER_UNSUPPORTED'],
  [44, 'POLICY_VIOLATION', 'refused', 'a policy of the broker forbids it', 'BROKER_REFUSED'],
  [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'next', 'the producer begins with a new id'],
  [46, 'DUPLICATE_SEQUENCE_NUMBER', 'unknown', 'the broker has it, and does not know where'],
  [47, 'INVALID_PRODUCER_EPOCH', 'fenced', 'a newer epoch of the producer is known'],
  [48, 'INVALID_TXN_STATE', 'fenced', 'the transaction was ended by somebody else'],
  [49, 'INVALID_PRODUCER_ID_MAPPING', 'fenced', 'the transactional id belongs to another producer'],
  [50, 'INVALID_TRANSACTION_TIMEOUT', 'refused', 'longer than the broker allows', 'BROKER_REFUSED'],
  [51, 'CONCURRENT_TRANSACTIONS', 'passes', 'the transaction before is being ended'],
  [52, 'TRANSACTION_COORDINATOR_FENCED', 'fenced', 'another coordinator has taken over'],
  [
    53,
    'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    'refused',
    'rights on the id are missing',
    'BROKER_FORBIDDEN',
  ],
  [54, 'SECURITY_DISABLED', 'refused', 'the broker has no rights to look at', 'BROKER_UNSUPPORTED'],
  [55, 'OPERATION_NOT_ATTEMPTED', 'passes', 'another part of the request failed first'],
  [56, 'KAFKA_STORAGE_ERROR', 'unknown', 'a disk of the broker fails; it may have been written'],
  [57, 'LOG_DIR_NOT_FOUND', 'foreign', 'of moving logs'],
  [58, 'SASL_AUTHENTICATION_FAILED', 'refused', 'name or password is wrong', 'BROKER_UNAUTHORIZED'],
  [59, 'UNKNOWN_PRODUCER_ID', 'next', 'the producer begins with a new id'],
  [60, 'REASSIGNMENT_IN_PROGRESS', 'passes', 'partitions are being moved'],
  [61, 'DELEGATION_TOKEN_AUTH_DISABLED', 'foreign', 'of delegation tokens'],
  [62, 'DELEGATION_TOKEN_NOT_FOUND', 'foreign', 'of delegation tokens'],
  [63, 'DELEGATION_TOKEN_OWNER_MISMATCH', 'foreign', 'of delegation tokens'],
  [64, 'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED', 'foreign', 'of delegation tokens'],
  [65, 'DELEGATION_TOKEN_AUTHORIZATION_FAILED', 'foreign', 'of delegation tokens'],
  [66, 'DELEGATION_TOKEN_EXPIRED', 'foreign', 'of delegation tokens'],
  [67, 'INVALID_PRINCIPAL_TYPE', 'foreign', 'of delegation tokens'],
  [68, 'NON_EMPTY_GROUP', 'foreign', 'of deleting groups'],
  [69, 'GROUP_ID_NOT_FOUND', 'next', 'the group is not there yet'],
  [70, 'FETCH_SESSION_ID_NOT_FOUND', 'next', 'the fetch session begins anew'],
  [71, 'INVALID_FETCH_SESSION_EPOCH', 'next', 'the fetch session begins anew'],
  [72, 'LISTENER_NOT_FOUND', 'passes', 'a leader that is not reachable through this listener yet'],
  [73, 'TOPIC_DELETION_DISABLED', 'refused', 'delete.topic.enable of the broker is false', 'BROKER_REFUSED'],
  [74, 'FENCED_LEADER_EPOCH', 'next', 'there is a newer leader than is known here'],
  [75, 'UNKNOWN_LEADER_EPOCH', 'next', 'the broker does not know of the newer leader yet'],
  [76, 'UNSUPPORTED_COMPRESSION_TYPE', 'refused', 'compression of a newer kind', 'BROKER_UNSUPPORTED'],
  [77, 'STALE_BROKER_EPOCH', 'foreign', 'between brokers'],
  [78, 'OFFSET_NOT_AVAILABLE', 'passes', 'a new leader does not know its end yet'],
  [79, 'MEMBER_ID_REQUIRED', 'next', 'the member joins again with the id that it was given'],
  [80, 'PREFERRED_LEADER_NOT_AVAILABLE', 'foreign', 'of elections by hand'],
  [
    81,
    'GROUP_MAX_SIZE_REACHED',
    'refused',
    'the group has as many members as the broker allows',
    'BROKER_REFUSED',
  ],
  [82, 'FENCED_INSTANCE_ID', 'foreign', 'of static members, and ours are none'],
  [83, 'ELIGIBLE_LEADERS_NOT_AVAILABLE', 'foreign', 'of elections by hand'],
  [84, 'ELECTION_NOT_NEEDED', 'foreign', 'of elections by hand'],
  [85, 'NO_REASSIGNMENT_IN_PROGRESS', 'foreign', 'of moving partitions'],
  [86, 'GROUP_SUBSCRIBED_TO_TOPIC', 'foreign', 'of deleting positions'],
  [87, 'INVALID_RECORD', 'refused', 'a record that the topic does not take', 'INPUT_INVALID'],
  [88, 'UNSTABLE_OFFSET_COMMIT', 'passes', 'positions in an open transaction'],
  [89, 'THROTTLING_QUOTA_EXCEEDED', 'passes', 'a quota of the broker'],
  [90, 'PRODUCER_FENCED', 'fenced', 'another producer has the transactional id'],
  [91, 'RESOURCE_NOT_FOUND', 'refused', 'what was asked about is not there', 'BROKER_REFUSED'],
  [92, 'DUPLICATE_RESOURCE', 'refused', 'what was asked for twice in one request', 'BROKER_REFUSED'],
  [93, 'UNACCEPTABLE_CREDENTIAL', 'foreign', 'of making users'],
  [94, 'INCONSISTENT_VOTER_SET', 'foreign', 'between controllers'],
  [95, 'INVALID_UPDATE_VERSION', 'foreign', 'of features'],
  [96, 'FEATURE_UPDATE_FAILED', 'foreign', 'of features'],
  [
    97,
    'PRINCIPAL_DESERIALIZATION_FAILURE',
    'refused',
    'brokers disagree who the user is',
    'BROKER_UNAUTHORIZED',
  ],
  [98, 'SNAPSHOT_NOT_FOUND', 'foreign', 'between controllers'],
  [99, 'POSITION_OUT_OF_RANGE', 'foreign', 'between controllers'],
  [100, 'UNKNOWN_TOPIC_ID', 'next', 'a topic that was deleted, or made just now'],
  [101, 'DUPLICATE_BROKER_REGISTRATION', 'foreign', 'between brokers'],
  [102, 'BROKER_ID_NOT_REGISTERED', 'foreign', 'between brokers'],
  [103, 'INCONSISTENT_TOPIC_ID', 'next', 'a topic that was made anew under its name'],
  [104, 'INCONSISTENT_CLUSTER_ID', 'foreign', 'between brokers'],
  [105, 'TRANSACTIONAL_ID_NOT_FOUND', 'next', 'nobody has used the transactional id yet'],
  [106, 'FETCH_SESSION_TOPIC_ID_ERROR', 'next', 'the fetch session begins anew'],
  [107, 'INELIGIBLE_REPLICA', 'foreign', 'between brokers'],
  [108, 'NEW_LEADER_ELECTED', 'foreign', 'between brokers'],
  [109, 'OFFSET_MOVED_TO_TIERED_STORAGE', 'foreign', 'between brokers'],
  [110, 'FENCED_MEMBER_EPOCH', 'foreign', 'of groups of the newer kind'],
  [111, 'UNRELEASED_INSTANCE_ID', 'foreign', 'of groups of the newer kind'],
  [112, 'UNSUPPORTED_ASSIGNOR', 'foreign', 'of groups of the newer kind'],
  [113, 'STALE_MEMBER_EPOCH', 'foreign', 'of groups of the newer kind'],
  [114, 'MISMATCHED_ENDPOINT_TYPE', 'refused', 'the address is one of controllers', 'BROKER_UNSUPPORTED'],
  [115, 'UNSUPPORTED_ENDPOINT_TYPE', 'refused', 'the address is one of controllers', 'BROKER_UNSUPPORTED'],
  [116, 'UNKNOWN_CONTROLLER_ID', 'foreign', 'between controllers'],
  [117, 'UNKNOWN_SUBSCRIPTION_ID', 'foreign', 'of telemetry'],
  [118, 'TELEMETRY_TOO_LARGE', 'foreign', 'of telemetry'],
  [119, 'INVALID_REGISTRATION', 'foreign', 'between brokers'],
  [120, 'TRANSACTION_ABORTABLE', 'next', 'the transaction is aborted and begun again'],
  [121, 'INVALID_RECORD_STATE', 'foreign', 'of share groups'],
  [122, 'SHARE_SESSION_NOT_FOUND', 'foreign', 'of share groups'],
  [123, 'INVALID_SHARE_SESSION_EPOCH', 'foreign', 'of share groups'],
  [124, 'FENCED_STATE_EPOCH', 'foreign', 'of share groups'],
  [125, 'INVALID_VOTER_KEY', 'foreign', 'between controllers'],
  [126, 'DUPLICATE_VOTER', 'foreign', 'between controllers'],
  [127, 'VOTER_NOT_FOUND', 'foreign', 'between controllers'],
  [128, 'INVALID_REGULAR_EXPRESSION', 'foreign', 'of groups of the newer kind'],
  [129, 'REBOOTSTRAP_REQUIRED', 'next', 'the client begins again with the addresses of its settings'],
  [130, 'STREAMS_INVALID_TOPOLOGY', 'foreign', 'of Kafka Streams'],
  [131, 'STREAMS_INVALID_TOPOLOGY_EPOCH', 'foreign', 'of Kafka Streams'],
  [132, 'STREAMS_TOPOLOGY_FENCED', 'foreign', 'of Kafka Streams'],
  [133, 'SHARE_SESSION_LIMIT_REACHED', 'foreign', 'of share groups'],
  [134, 'GROUP_DELETION_FAILED', 'foreign', 'of deleting groups'],
  [135, 'STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED', 'foreign', 'of Kafka Streams'],
  [136, 'CONTROLLER_ID_NOT_REGISTERED', 'foreign', 'between controllers'],
]

/** What is known of an error code. */
export interface ProtocolError {
  readonly name: string
  readonly verdict: Verdict
  readonly reason: string
  /** The code of ours that it means where nobody knows better. */
  readonly code: ErrorCode
}

const NAMED = ROWS.map(([number, name, verdict, reason, ours]): readonly [number, ProtocolError] => [
  number,
  { name, verdict, reason, code: ours ?? (verdict === 'fenced' ? 'FENCED' : 'BROKER_UNAVAILABLE') },
])

/** Every error code of the protocol by its number. */
export const PROTOCOL_ERRORS: ReadonlyMap<number, ProtocolError> = new Map(NAMED)

const BY_NAME: ReadonlyMap<string, ProtocolError> = new Map(NAMED.map(([, error]) => [error.name, error]))

/** The code of ours for an error by its name in the protocol; undefined for one that is not known. */
export function codeOfProtocolError(name: string): ErrorCode | undefined {
  return BY_NAME.get(name)?.code
}

/** Why a login was not even looked at, by the name of the error; undefined for any other. */
export function loginMismatch(name: string): string | undefined {
  const known = BY_NAME.get(name)
  return known?.code === 'BROKER_LOGIN_MISMATCH' ? known.reason : undefined
}

/** Whether asking again never helps. */
export function isRefusal(number: number): boolean {
  return PROTOCOL_ERRORS.get(number)?.verdict === 'refused'
}

/** What to do about a refusal that is not about rights. */
const REMEDIES: Readonly<Record<number, string>> = {
  17: 'Correct the names in topics and the prefixes.',
  23: 'Let no other program join the group, or choose another prefix for groups.',
  26: 'Set broker.sessionTimeout to what group.min.session.timeout.ms and group.max.session.timeout.ms of the broker allow.',
  32: 'Set the clock of this machine, or widen message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic.',
  37: 'Correct topics.partitions.',
  38: 'Set broker.replication to at most the number of brokers, or start the missing brokers.',
  44: 'Ask whoever runs the broker what its policy (create.topic.policy.class.name) allows.',
  50: 'Let transaction.max.timeout.ms of the broker be at least its default.',
  73: 'Set delete.topic.enable of the broker to true.',
}

/** The brokers are there and start: it passes, although the code is that of a refusal. */
const STARTING = /currently fenced/i

/** The error that an answer with an error code is raised as; `said` is what the broker says in words. */
export function errorOfCode(number: number, what: string, said?: string | null): TapelineError {
  const { name, code, reason } = PROTOCOL_ERRORS.get(number) ?? UNKNOWN
  const text = `${what}: ${said || reason} (${name}, ${number})`
  if (said && STARTING.test(said)) return new TapelineError('BROKER_UNAVAILABLE', text)
  const remedy = REMEDIES[number]
  return new TapelineError(code, text, remedy === undefined ? {} : { remedy })
}

/** A code that is newer than the table. */
const UNKNOWN: Pick<ProtocolError, 'name' | 'code' | 'reason'> = {
  name: 'an unknown error',
  code: 'BROKER_UNAVAILABLE',
  reason: 'the broker is newer than this version knows',
}
