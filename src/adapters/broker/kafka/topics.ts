import { delay } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import { TapelineError } from '../../../errors.ts'
import type { TopicDescription, TopicIdentity, TopicSpec } from '../../../ports/broker.ts'
import type { Cluster } from './cluster.ts'
import { errorOfCode } from './error-table.ts'
import { listOffsets, OFFSET_AT, placesOf } from './offsets.ts'
import { BROKER_WAIT_MS } from './settings.ts'
import { readSettings, settingsOf, type TopicSettings } from './topic-settings.ts'
import type { TopicState, TopicView } from './topic-view.ts'
import { UsedLately } from './used-lately.ts'

/** The protocol's codes that are told apart. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const CODE = { unknownTopic: 3, exists: 36, notController: 41, unknownTopicId: 100 } as const
const TOPIC_RESOURCE = 2
/** From this version on a topic is deleted by its id (KIP-516). */
const DELETE_BY_ID = 6
const LOOK_AGAIN_MS = 20

/** Makes, removes and describes topics. */
export class Topics {
  readonly #cluster: Cluster
  readonly #view: TopicView
  readonly #replication: number
  /** Settings by topic id: the platform never changes them after the topic is made. */
  readonly #configs = new UsedLately<TopicSettings>()

  constructor(cluster: Cluster, view: TopicView, replication: number) {
    this.#cluster = cluster
    this.#view = view
    this.#replication = replication
  }

  /** Whether a topic is known to be compacted. */
  isCompacted(name: string): boolean {
    const id = this.#cluster.known(name)?.id
    return id !== undefined && (this.#configs.get(id)?.compacted ?? false)
  }

  async create(specs: readonly TopicSpec[], signal: AbortSignal): Promise<readonly TopicDescription[]> {
    if (specs.length === 0) return []
    const topics = specs.map(({ name, partitions, ...settings }) => ({
      name,
      numPartitions: partitions,
      replicationFactor: this.#replication || -1,
      assignments: [],
      configs: settingsOf(settings),
    }))
    const answered = await this.#askController(
      async () =>
        (await this.#cluster.request('createTopics', 'controller', [topics, BROKER_WAIT_MS, false], signal))
          .topics,
      signal,
    )
    const failed: TapelineError[] = []
    for (const { name, errorCode, errorMessage } of answered) {
      if (errorCode !== 0 && errorCode !== CODE.exists)
        failed.push(errorOfCode(errorCode, `the topic ${name} cannot be made`, errorMessage))
    }
    const [first] = failed
    if (first !== undefined) throw first
    const made = await this.#untilUsable(specs, signal)
    for (const [i, spec] of specs.entries()) checkEqual(spec, made[i])
    return made
  }

  async delete(wanted: readonly TopicIdentity[], signal: AbortSignal): Promise<void> {
    if (wanted.length === 0) return
    const names = wanted.map(({ name }) => name)
    const byId = (await this.#cluster.version('deleteTopics', 'controller')) >= DELETE_BY_ID
    const shown = async (): Promise<TopicIdentity[]> => {
      const states = await this.#cluster.topics(names, signal)
      return wanted.filter(({ name, id }) => states.get(name)?.id === id)
    }
    // A broker of an older version takes names alone: there nothing but the look of a moment ago tells whose topic it is.
    const hasId = ({ name, id }: TopicIdentity): boolean => byId && id !== name
    const nameless = wanted.every(hasId) ? [] : (await shown()).filter((topic) => !hasId(topic))
    const topics = [
      ...wanted.filter(hasId).map(({ id }) => ({ topicId: id })),
      ...nameless.map(({ name }) => ({ name })),
    ]
    if (topics.length === 0) return
    const nameOf = new Map(wanted.map(({ name, id }) => [id, name]))
    const answered = await this.#askController(
      async () =>
        (await this.#cluster.request('deleteTopics', 'controller', [topics, BROKER_WAIT_MS], signal))
          .responses,
      signal,
    )
    for (const { topicId, errorCode, errorMessage, ...answer } of answered) {
      const name = answer.name ?? nameOf.get(topicId)
      if (errorCode !== 0 && errorCode !== CODE.unknownTopic && errorCode !== CODE.unknownTopicId)
        throw errorOfCode(errorCode, `the topic ${name} was not deleted`, errorMessage)
    }
    this.#view.forget(names)
    while ((await shown()).length > 0) await delay(LOOK_AGAIN_MS, signal)
  }

  async list(prefix: string, signal: AbortSignal): Promise<readonly TopicDescription[]> {
    const all = await this.#cluster.topics(null, signal)
    const wanted = [...all.values()].filter(({ name }) => name.startsWith(prefix) && !name.startsWith('__'))
    return this.#describe(wanted, signal)
  }

  async describe(names: readonly string[], signal: AbortSignal): Promise<readonly TopicDescription[]> {
    if (names.length === 0) return []
    const states = await this.#cluster.topics(names, signal)
    return this.#describe([...states.values()], signal)
  }

  async ids(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    if (names.length === 0) return new Map()
    const states = await this.#cluster.topics(names, signal)
    // An answer of another kind than that there is no such topic changes nothing of what is known.
    const known = names.flatMap((name) => states.get(name) ?? this.#cluster.known(name) ?? [])
    return new Map(known.map(({ name, id }) => [name, id]))
  }

  async #describe(states: readonly TopicState[], signal: AbortSignal): Promise<readonly TopicDescription[]> {
    if (states.length === 0) return []
    const [, earliest, end] = await Promise.all([
      this.#learnConfigs(states, signal),
      listOffsets(this.#cluster, placesOf(states), OFFSET_AT.earliest, signal),
      listOffsets(this.#cluster, placesOf(states), OFFSET_AT.end, signal),
    ])
    return states.flatMap(({ name, id, leaders }) => {
      const config = this.#configs.get(id)
      const offsets = leaders.flatMap((_, partition) => {
        const key = partitionKey({ topic: name, partition })
        const [first, last] = [earliest.get(key), end.get(key)]
        return first === undefined || last === undefined ? [] : [{ earliest: first, end: last }]
      })
      // Deleted while it was described.
      if (config === undefined || offsets.length < leaders.length) return []
      const { compacted, retentionMs } = config
      const retention = retentionMs === undefined ? {} : { retentionMs }
      return [{ name, id, partitions: leaders.length, compacted, ...retention, offsets }]
    })
  }

  async #learnConfigs(states: readonly TopicState[], signal: AbortSignal): Promise<void> {
    const unknown = states.filter(({ id }) => this.#configs.get(id) === undefined)
    if (unknown.length === 0) return
    const resources = unknown.map(({ name }) => ({
      resourceType: TOPIC_RESOURCE,
      resourceName: name,
      configurationKeys: ['cleanup.policy', 'retention.ms'],
    })) satisfies { resourceType: 2; resourceName: string; configurationKeys: string[] }[]
    const answer = await this.#cluster.request('describeConfigs', 'any', [resources, false, false], signal)
    for (const { resourceName, errorCode, errorMessage, configs } of answer.results) {
      const id = unknown.find(({ name }) => name === resourceName)?.id
      // Deleted while it was asked about.
      if (id === undefined || errorCode === CODE.unknownTopic) continue
      if (errorCode !== 0)
        throw errorOfCode(errorCode, `the settings of the topic ${resourceName} cannot be read`, errorMessage)
      this.#configs.set(id, readSettings(configs))
    }
  }

  /** Asks the controller, and again where it has moved. */
  async #askController<T extends { readonly errorCode: number }>(
    ask: () => Promise<readonly T[]>,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    for (;;) {
      const answers = await ask()
      if (answers.every(({ errorCode }) => errorCode !== CODE.notController)) return answers
      await delay(LOOK_AGAIN_MS, signal)
      await this.#cluster.topics([], signal)
    }
  }

  /** A topic that was made may not be usable for a while: each partition must have a leader that answers. */
  async #untilUsable(specs: readonly TopicSpec[], signal: AbortSignal): Promise<TopicDescription[]> {
    const names = specs.map(({ name }) => name)
    for (;;) {
      const states = await this.#cluster.topics(names, signal)
      const found = names.flatMap((name) => states.get(name) ?? [])
      if (
        found.length === names.length &&
        found.every(({ leaders }) => leaders.every((leader) => leader >= 0))
      ) {
        const described = new Map((await this.#describe(found, signal)).map((topic) => [topic.name, topic]))
        const all = names.flatMap((name) => described.get(name) ?? [])
        if (all.length === names.length) return all
      }
      await delay(LOOK_AGAIN_MS, signal)
    }
  }
}

/** One that exists otherwise than it should. Raises TOPIC_EXISTS. */
function checkEqual(spec: TopicSpec, made: TopicDescription | undefined): void {
  if (made === undefined) return
  const differs =
    made.partitions !== spec.partitions ||
    made.compacted !== (spec.compacted ?? false) ||
    (!made.compacted && made.retentionMs !== spec.retentionMs)
  if (differs) throw new TapelineError('TOPIC_EXISTS', `the topic ${spec.name} exists with other settings`)
}
