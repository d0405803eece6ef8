import { seededRandom } from '../../src/simulator/random.ts'
import type { Cluster } from '../e2e/servers/cluster.ts'
import type { KafkaServer } from '../servers/kafka.ts'
import type { KafkaCluster } from '../servers/kafka-cluster.ts'
import type { TcpProxy } from '../servers/tcp-proxy.ts'
import type { Fault, FaultKind } from './schedule.ts'
import type { World } from './world.ts'

/** How long each piece of data waits on a slow connection, in ms. */
const SLOW_MS = 60

/** Ends a fault again. */
type Undo = () => Promise<void> | void

/** What a fault does to connections. */
const ON_LINKS: Record<'cut' | 'refuse' | 'stall' | 'slow', (link: TcpProxy) => Undo> = {
  cut(link) {
    link.cut()
    return () => undefined
  },
  refuse(link) {
    link.cut({ refuse: true })
    return () => link.accept()
  },
  stall(link) {
    link.stall()
    return () => link.resume()
  },
  slow(link) {
    link.slowDown(SLOW_MS)
    return () => link.slowDown(0)
  },
}

/** Begins a fault that befalls platforms on the same servers; what it gives ends it. */
export async function begin(fault: Fault, worlds: readonly [World, ...World[]]): Promise<Undo> {
  const [{ cluster }] = worlds
  const { kind, target } = fault
  const process = () =>
    (worlds.find(({ cluster: { names } }) => names.includes(target)) ?? worlds[0]).cluster.process(target)
  const { postgres } = cluster
  const broker = () => brokerOf(target, cluster)
  switch (kind) {
    case 'kill':
      await process().kill()
      return () => process().launch()
    case 'freeze':
      process().pause()
      return () => process().resume()
    case 'kill-broker':
      await cluster.kafkaCluster?.untilWhole()
      await broker().kill()
      return () => broker().restart()
    case 'empty-broker':
      // What the others lack would be lost with it.
      await cluster.kafkaCluster?.untilWhole()
      await broker().empty()
      return () => broker().restart()
    case 'kill-controller': {
      await cluster.kafkaCluster?.untilWhole()
      const controller = (await cluster.kafkaCluster?.controller()) ?? cluster.kafka
      await controller.kill()
      return () => controller.restart()
    }
    case 'roll-brokers':
      return () => rollBrokers(cluster.kafkaCluster)
    case 'move-leaders':
      await moveLeaders(fault, cluster.kafkaCluster)
      return () => undefined
    case 'freeze-broker':
      broker().pause()
      return () => broker().resume()
    case 'kill-database':
      await postgres.kill()
      return () => postgres.restart()
    case 'freeze-database':
      await postgres.pause()
      return () => postgres.resume()
    default:
      return onLinks(kind, linksOf(fault, kind, worlds))
  }
}

/** The one that `broker-2` names; `broker` where there is only one. */
function brokerOf(target: string, { kafka, kafkaCluster }: Cluster): KafkaServer {
  return kafkaCluster?.server(Number(target.split('-')[1])) ?? kafka
}

/** As somebody does who brings a new version: each broker ends in order and starts again, once all copies keep up. */
async function rollBrokers(kafka: KafkaCluster | undefined): Promise<void> {
  for (const broker of kafka?.servers ?? []) {
    await kafka?.untilWhole()
    await broker.stop()
    await broker.restart()
  }
}

/** Every partition goes to one of those that keep up, by chance; coordinators of groups and transactions too. */
async function moveLeaders({ at }: Fault, kafka: KafkaCluster | undefined): Promise<void> {
  const random = seededRandom(`leaders ${at}`)
  const states = (await kafka?.partitions()) ?? []
  const moves = states.map(({ topic, partition, inSync }) => ({
    ...{ topic, partition, to: inSync[Math.floor(random() * inSync.length)] ?? 1 },
  }))
  await kafka?.moveLeaders(moves)
}

type LinkKind = Exclude<
  FaultKind,
  'kill' | 'freeze' | `${'kill' | 'freeze' | 'empty' | 'roll' | 'move'}-${string}`
>

function onLinks(kind: LinkKind, links: readonly TcpProxy[]): Undo {
  const [what] = kind.split('-') as ['cut' | 'refuse' | 'stall' | 'slow', string]
  const undo = links.map((link) => ON_LINKS[what](link))
  return async () => {
    for (const each of undo) await each()
  }
}

function linksOf(
  { target }: Fault,
  kind: LinkKind,
  worlds: readonly [World, ...World[]],
): readonly TcpProxy[] {
  const [{ cluster }] = worlds
  if (kind.endsWith('-broker'))
    return cluster.brokerLinks.slice(Number(target.split('-')[1] ?? 1) - 1).slice(0, 1)
  if (kind.endsWith('-clients')) return worlds.flatMap(({ gatewayLinks }) => gatewayLinks)
  return worlds.flatMap(({ cluster: { names, databaseLink } }) => names.map(databaseLink))
}
