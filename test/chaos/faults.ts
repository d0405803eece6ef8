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

/** Begins a fault; what it gives ends it. */
export async function begin(fault: Fault, world: World): Promise<Undo> {
  const { cluster } = world
  const { kind, target } = fault
  const process = () => cluster.process(target)
  const { kafka, postgres } = cluster
  switch (kind) {
    case 'kill':
      await process().kill()
      return () => process().launch()
    case 'freeze':
      process().pause()
      return () => process().resume()
    case 'kill-broker':
      await kafka.kill()
      return () => kafka.restart()
    case 'freeze-broker':
      kafka.pause()
      return () => kafka.resume()
    case 'kill-database':
      await postgres.kill()
      return () => postgres.restart()
    case 'freeze-database':
      await postgres.pause()
      return () => postgres.resume()
    default:
      return onLinks(kind, linksOf(kind, world))
  }
}

type LinkKind = Exclude<FaultKind, 'kill' | 'freeze' | `${'kill' | 'freeze'}-${string}`>

function onLinks(kind: LinkKind, links: readonly TcpProxy[]): Undo {
  const [what] = kind.split('-') as ['cut' | 'refuse' | 'stall' | 'slow', string]
  const undo = links.map((link) => ON_LINKS[what](link))
  return async () => {
    for (const each of undo) await each()
  }
}

function linksOf(kind: LinkKind, { cluster, gatewayLinks }: World): readonly TcpProxy[] {
  if (kind.endsWith('-broker')) return [cluster.brokerLink]
  if (kind.endsWith('-clients')) return gatewayLinks
  return cluster.names.map((name) => cluster.databaseLink(name))
}
