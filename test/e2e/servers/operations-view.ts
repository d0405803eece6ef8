import { Admin } from '@platformatic/kafka'
import type { z } from 'zod'
import type { actorsSchema, alertsSchema } from '../../../src/gateway/schemas/operations.ts'
import { kafkaTool } from '../../servers/kafka.ts'
import type { Cluster } from './cluster.ts'

type Actor = z.output<typeof actorsSchema>['actors'][number]
type Alert = z.output<typeof alertsSchema>['alerts'][number]

/** The machines of a process itself, without those that it knows from the heartbeats of others. */
export async function ownActors(cluster: Cluster, name: string): Promise<Actor[]> {
  const { actors } = await cluster.process(name).get<{ actors: Actor[] }>('/v1/actors')
  return actors.filter(({ id }) => !id.includes('@'))
}

/** The machines of all processes, as one process sees them. */
export async function allActors(cluster: Cluster, name: string): Promise<Actor[]> {
  return (await cluster.process(name).get<{ actors: Actor[] }>('/v1/actors')).actors
}

/** Alerts about what has happened, and lasts no more: they stand for ten minutes. */
const PAST = ['GAP_FLAGGED', 'DEAD_LETTERS']

/** The alerts about what lasts. */
export async function alertsAt(cluster: Cluster, name: string): Promise<Alert[]> {
  const { alerts } = await cluster.process(name).get<{ alerts: Alert[] }>('/v1/alerts')
  return alerts.filter(({ code }) => !PAST.includes(code))
}

/** Whether the coordinator of a process leads. */
export async function leads(cluster: Cluster, name: string): Promise<boolean> {
  return (await ownActors(cluster, name)).some(
    ({ machine, context }) => machine === 'coordinator' && context['leads'] === true,
  )
}

/** Which shards the producer of a process owns. */
export async function shardsOf(cluster: Cluster, name: string): Promise<number> {
  const producer = (await ownActors(cluster, name)).find(({ machine }) => machine === 'producer')
  const shards = producer?.context['shards']
  return Array.isArray(shards) ? shards.length : 0
}

/** Event time in ms up to which the rows of every market have come that traded lately. */
export async function storedUpTo(cluster: Cluster): Promise<number> {
  const [row] = await cluster.sql<{ oldest: string | null }>(
    `select min(newest) as oldest from (
       select extract(epoch from max(ts)) * 1000 as newest from trades
       where exchange in ('coinbase', 'binance') and symbol like any (array['BTC-%', 'ETH-%'])
       group by exchange, symbol) as markets`,
  )
  return Number(row?.oldest ?? 0)
}

export interface GroupPartition {
  readonly topic: string
  readonly partition: number
  /** Undefined where nothing is committed there. */
  readonly lag: number | undefined
  /** Undefined where nobody has it. */
  readonly member: string | undefined
}

/** How many members of a consumer group have partitions. To wait for them this costs less than Kafka's tool, which is a JVM each time. */
export async function membersWithPartitions(cluster: Cluster, group: string): Promise<number> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [cluster.kafka.bootstrap] })
  try {
    const members = (await admin.describeGroups({ groups: [group] })).get(group)?.members.values() ?? []
    return [...members].filter(({ assignments }) => (assignments?.size ?? 0) > 0).length
  } finally {
    await admin.close()
  }
}

/** What Kafka's own tool tells of a consumer group. */
export async function describeGroup(cluster: Cluster, group: string): Promise<GroupPartition[]> {
  const text = await kafkaTool('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', [
    ...['--bootstrap-server', cluster.kafka.bootstrap, '--describe', '--group', group],
    ...['--timeout', '30000'],
  ])
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/))
  const header = lines.find((cells) => cells.includes('PARTITION')) ?? []
  const at = (cells: readonly string[], column: string): string => cells[header.indexOf(column)] ?? '-'
  const known = (text: string): string | undefined => (text === '-' ? undefined : text)
  return lines
    .filter((cells) => cells[0] === group)
    .map((cells) => {
      const lag = known(at(cells, 'LAG'))
      return {
        topic: at(cells, 'TOPIC'),
        partition: Number(at(cells, 'PARTITION')),
        lag: lag === undefined ? undefined : Number(lag),
        member: known(at(cells, 'CONSUMER-ID')),
      }
    })
}
