import type { StreamRecord } from '../../../src/control/registry-records.ts'
import { RegistryView } from '../../../src/control/registry-view.ts'
import type { Channel } from '../../../src/domain/events.ts'
import { Routes } from '../../../src/services/producer/routes.ts'
import type { Shard } from '../../../src/services/producer/shard.ts'
import { NAMES } from '../../names.ts'

export interface StreamOf {
  readonly id: string
  readonly symbols?: readonly string[]
  readonly channel?: Channel
  readonly where?: string
  readonly fields?: readonly string[]
  readonly state?: 'creating' | 'ready' | 'ending'
  /** Per shard: the fixed offset at which it starts. */
  readonly start?: readonly number[]
}

/** A registry's record of a stream. */
export function streamRecord(stream: StreamOf): StreamRecord {
  const { id, symbols = ['*'], channel = 'trade', state = 'ready', start = [0, 0], where, fields } = stream
  const wish = { ...(where !== undefined && { where }), ...(fields !== undefined && { fields }) }
  return {
    ...{ v: 1, instance: 'i', epoch: 1, kind: 'stream', id, state, topic: `app.${id}`, topicId: 'T' },
    ...{ spec: { channel, symbols, exchanges: [], ...wish }, start: [...start], createdAt: 0 },
  }
}

/** A registry whose records a test writes, and the routes over it of a process that owns these shards. */
export function routing(shards: readonly Shard[], now: () => number = () => 0) {
  const view = new RegistryView(NAMES.leaderId)
  const owned = new Map(shards.map((shard) => [shard.k, shard]))
  const routes = new Routes({ view }, now, owned)
  return {
    ...{ view, owned, routes },
    /** The registry's next record is one of a stream; the routes follow it. */
    write(stream: StreamOf) {
      view.apply(view.nextOffset, `stream:${stream.id}`, streamRecord(stream))
      routes.sync(owned.values())
    },
  }
}

/** The routes of a process that owns these shards, over streams that are there. */
export function routesOf(shards: readonly Shard[], streams: readonly StreamOf[]): Routes {
  const { routes, write } = routing(shards)
  for (const stream of streams) write(stream)
  return routes
}
