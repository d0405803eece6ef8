import { CHANNELS, type Channel, fixedTopic } from '../domain/events.ts'

/** How the names of a platform begin on its broker, each without the dot that follows. No two may lie within each other. */
export interface TopicPrefixes {
  /** Of the fixed topics. */
  readonly prefix: string
  /** Of the topics of streams. */
  readonly dynamicPrefix: string
  /** Of the control topics, the dead letters, the consumer groups and the transactional ids. */
  readonly controlPrefix: string
}

/** Prefixes as a registry tells them: undefined where no leader of the platform did. */
export type ToldPrefixes = { readonly [K in 'prefix' | 'dynamicPrefix']?: string | undefined }

/** What one platform calls its own on a broker that it may share with others: topics, consumer groups, transactional ids. */
export interface PlatformNames extends TopicPrefixes {
  /** The fixed topic of each channel. */
  readonly fixed: Readonly<Record<Channel, string>>
  /** What each exchange lists, by market. */
  readonly instruments: string
  /** How the name of each dynamic topic begins, with the dot: what follows is a ULID. */
  readonly dynamic: string
  readonly registry: string
  readonly control: string
  readonly checkpoints: string
  readonly deadLetters: string
  /** How far each webhook is (R25). */
  readonly endpoints: string
  /** The consumer groups, as consoles and lag exporters show them (R7). */
  readonly groups: {
    readonly producers: string
    readonly coordinators: string
    readonly consumersFixed: string
    readonly gateways: string
  }
  /** Whoever holds this transactional id leads the coordinators. */
  readonly leaderId: string
  /** The transactional id under which `doctor` looks at the broker's clock. */
  readonly doctorId: string
  /** The transactional id of the owner of a source shard (R8). */
  shardId(k: number): string
  /** The transactional id of the owner of a partition of webhooks (R25). */
  endpointsId(k: number): string
}

/** The names that follow from the prefixes of a configuration. */
export function platformNames({ prefix, dynamicPrefix, controlPrefix }: TopicPrefixes): PlatformNames {
  return {
    ...{ prefix, dynamicPrefix, controlPrefix },
    fixed: Object.fromEntries(CHANNELS.map((channel) => [channel, fixedTopic(prefix, channel)])) as Record<
      Channel,
      string
    >,
    instruments: `${prefix}.instruments`,
    dynamic: `${dynamicPrefix}.`,
    registry: `${controlPrefix}.registry`,
    control: `${controlPrefix}.control`,
    checkpoints: `${controlPrefix}.checkpoints`,
    deadLetters: `${controlPrefix}.dead-letters`,
    endpoints: `${controlPrefix}.endpoints`,
    groups: {
      producers: `${controlPrefix}.producers`,
      coordinators: `${controlPrefix}.coordinators`,
      consumersFixed: `${controlPrefix}.consumers-fixed`,
      gateways: `${controlPrefix}.gateways`,
    },
    leaderId: `${controlPrefix}.coordinator`,
    doctorId: `${controlPrefix}.doctor`,
    shardId: (k) => `${controlPrefix}.shard.${k}`,
    endpointsId: (k) => `${controlPrefix}.endpoints.${k}`,
  }
}

/** Whether names under one prefix are names under the other too. */
export function isWithin(one: string, other: string): boolean {
  return `${one}.`.startsWith(`${other}.`) || `${other}.`.startsWith(`${one}.`)
}
