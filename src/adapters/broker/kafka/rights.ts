import { type InspectionLink, whilePassing } from './inspection-link.ts'

/** What the platform does on a broker, by the names that it has there. */
export interface KafkaUses {
  /** Topics that it makes where they are missing, reads and writes. */
  readonly topics: readonly string[]
  /** How the names of topics begin that it makes, writes, reads and deletes while it runs. */
  readonly prefixes: readonly string[]
  readonly groups: readonly string[]
  readonly transactionalIds: readonly string[]
}

/** Bits of `authorizedOperations`. Source: AclOperation.java of Apache Kafka. */
const OPERATIONS = { read: 3, write: 4, describe: 8, 'read the settings of': 10 } as const

/** Error codes by which a broker refuses a user: https://kafka.apache.org/protocol#protocol_error_codes */
const REFUSALS = new Set([29, 30, 31, 53])

/** What a broker answers for operations that it cannot tell. */
const UNTOLD = -2_147_483_648

/** A name that no topic of a prefix has: those that are made end in a ULID. */
const NOBODY = 'doctor'

type TopicRights = ReadonlyMap<string, number>

/**
 * What the platform does on the broker and its user may not do. Of topics that are there the broker tells the rights; all else is tried with requests
 * that change nothing.
 */
export async function forbiddenUses(
  link: InspectionLink,
  uses: KafkaUses,
  rights: TopicRights,
): Promise<readonly string[]> {
  const { topics, prefixes, groups, transactionalIds } = uses
  const probes = prefixes.map((prefix) => `${prefix}${NOBODY}`)
  const missing = topics.filter((name) => !rights.has(name))
  const [created, deleted] = await Promise.all([
    link.tryCreate([...missing, ...probes]),
    prefixes.length === 0 ? new Map<string, number>() : link.tryDelete(probes),
  ])
  const forbidden = [
    ...topics.flatMap((name) => onTopic(name, rights.get(name) ?? UNTOLD)),
    ...refused([...missing, ...probes], created).map((name) => `make the topic ${shown(name, probes)}`),
    ...refused(probes, deleted).map((name) => `delete the topic ${shown(name, probes)}`),
  ]
  for (const group of groups) {
    let operations = UNTOLD
    const code = await whilePassing(async () => {
      const tried = await link.tryGroup(group)
      operations = tried.operations
      return tried.errorCode
    })
    const isRefused = REFUSALS.has(code) || (code === 0 && !has(operations, OPERATIONS.read))
    if (isRefused) forbidden.push(`join the group ${group}`)
  }
  for (const id of transactionalIds) {
    const code = await whilePassing(() => link.tryTransaction(id))
    if (REFUSALS.has(code)) forbidden.push(`write under the transactional id ${id}`)
  }
  return forbidden
}

function onTopic(name: string, operations: number): string[] {
  return Object.entries(OPERATIONS).flatMap(([verb, bit]) =>
    has(operations, bit) ? [] : [`${verb === 'write' ? 'write to' : verb} the topic ${name}`],
  )
}

function has(operations: number, bit: number): boolean {
  return operations === UNTOLD || (operations & (1 << bit)) !== 0
}

function refused(names: readonly string[], codes: ReadonlyMap<string, number>): string[] {
  return names.filter((name) => REFUSALS.has(codes.get(name) ?? 0))
}

/** The name that was tried, as the pattern that it stands for. */
function shown(name: string, probes: readonly string[]): string {
  return probes.includes(name) ? name.replace(new RegExp(`${NOBODY}$`), '*') : name
}
