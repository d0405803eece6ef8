import type { Random } from '../../src/simulator/random.ts'
import { NAMES } from './names.ts'
import { readRegistry } from './registered.ts'
import type { Simulation } from './simulation.ts'

interface FaultKind {
  readonly what: string
  /** How often it comes, beside the others. */
  readonly weight: number
  /** How long it lasts, in milliseconds. */
  readonly lasts: readonly [least: number, most: number]
  /** Begins it; gives what ends it, or undefined where it cannot come now. */
  readonly begin: (simulation: Simulation, random: Random) => (() => void) | undefined
}

/** Fixed topics keep a record for so long at least, and those of streams, as they were made. */
const SHORTEST_KEPT_MS = 5_000
const STREAM_KEPT_MS = 10_000

/** So many records a partition loses at its end. */
const MOST_LOST = 60
/** The last batches, of which one may rot. */
const ROTTING = 8

/** All that can go wrong in a world. */
export const FAULTS = {
  storm: {
    what: 'calls of a process, or of all, fail before or after their effect, take long, or take effect late',
    weight: 4,
    lasts: [1_000, 10_000],
    begin(simulation, random) {
      const host = random() < 0.7 ? simulation.anyProcess()?.host : undefined
      const share = random() * random() * 0.4
      return simulation.weather.storm(host, {
        lostRequests: share * random(),
        lostAnswers: share * random(),
        late: share * random() * 0.5,
        slow: random() * 0.5,
        slowMs: 10 ** (1 + 2.5 * random()),
      })
    },
  },
  kill: {
    what: 'a process is killed between any two awaits, and started again later',
    weight: 3,
    lasts: [100, 8_000],
    begin(simulation) {
      const process = simulation.anyProcess()
      if (process === undefined) return undefined
      simulation.kill(process)
      return () => simulation.restart(process)
    },
  },
  freeze: {
    what: 'a process stands still, between any two awaits',
    weight: 3,
    lasts: [200, 25_000],
    begin(simulation) {
      const process = simulation.anyProcess()
      if (process?.host.state !== 'running') return undefined
      process.freeze()
      return () => process.thaw()
    },
  },
  shuffle: {
    what: 'the groups deal anew: a process is put out and taken in again',
    weight: 2,
    lasts: [0, 0],
    begin(simulation) {
      const process = simulation.anyProcess()
      if (process === undefined || simulation.weather.isGone('broker')) return undefined
      simulation.world.groups.shuffle(process.host)
      return () => {}
    },
  },
  unheard: {
    what: 'the group coordinator hears nothing of a process, though all else works',
    weight: 2,
    lasts: [3_000, 25_000],
    begin(simulation) {
      const process = simulation.anyProcess()
      return process && simulation.weather.loseHeartbeats(process.host)
    },
  },
  feed: {
    what: 'the connection to the exchange breaks',
    weight: 2,
    lasts: [0, 0],
    begin(simulation) {
      const feed = simulation.anyProcess('producer')?.feed
      if (feed === undefined) return undefined
      feed.cut('the connection broke')
      return () => {}
    },
  },
  burst: {
    what: 'the exchange trades much at once',
    weight: 1,
    lasts: [0, 0],
    begin(simulation, random) {
      simulation.world.exchange.burst(Math.floor(10 + random() * 50))
      return () => {}
    },
  },
  cutoff: {
    what: 'the broker, or the database, is away for one process',
    weight: 2,
    lasts: [500, 20_000],
    begin(simulation, random) {
      const host = simulation.anyProcess()?.host
      const service = random() < 0.6 ? 'broker' : 'store'
      return host && simulation.weather.begin({ service, host, mode: random() < 0.5 ? 'refuse' : 'hang' })
    },
  },
  store: {
    what: 'the database is away for all',
    weight: 1,
    lasts: [500, 30_000],
    begin: ({ weather }, random) =>
      weather.begin({ service: 'store', host: undefined, mode: random() < 0.5 ? 'refuse' : 'hang' }),
  },
  broker: {
    what: 'the broker is away for all, for seconds',
    weight: 1,
    lasts: [500, 8_000],
    begin: ({ weather }, random) =>
      weather.begin({ service: 'broker', host: undefined, mode: random() < 0.5 ? 'refuse' : 'hang' }),
  },
  outage: {
    what: 'the broker is away for all, for a minute or more',
    weight: 1,
    lasts: [60_000, 100_000],
    begin({ weather, watch }, random) {
      void watch.expectOutageShown()
      return weather.begin({ service: 'broker', host: undefined, mode: random() < 0.5 ? 'refuse' : 'hang' })
    },
  },
  metadata: {
    what: 'the metadata of a process lacks topics that are there',
    weight: 2,
    lasts: [200, 20_000],
    begin(simulation, random) {
      const host = simulation.anyProcess()?.host
      const names = [...simulation.world.broker.topics.keys()]
      const lacking = names.filter((name) => name.startsWith(NAMES.dynamic) && random() < 0.6)
      const isFixed = random() < 0.3
      if (isFixed) lacking.push(...names.filter((name) => name.startsWith('market.') && random() < 0.5))
      if (host === undefined || lacking.length === 0) return undefined
      // Applications that come again just then resume from topics that are not shown.
      for (const application of simulation.applications) if (random() < 0.4) application.disconnect()
      let end: (() => void) | undefined
      const later = simulation.world.clock.after(undefined, random() * 1_000, () => {
        end = simulation.weather.hide(host, lacking)
      })
      return () => {
        later.cancel()
        end?.()
      }
    },
  },
  aside: {
    what: 'a dynamic topic cannot be written',
    weight: 1,
    lasts: [1_000, 20_000],
    begin(simulation, random) {
      const names = [...simulation.world.broker.topics.keys()].filter((name) =>
        name.startsWith(NAMES.dynamic),
      )
      const name = names[Math.floor(random() * names.length)]
      return name === undefined ? undefined : simulation.weather.refuseWrites(name)
    },
  },
  unreadable: {
    what: 'a process can write, but fetches of the fixed topics fail, for a minute',
    weight: 1,
    lasts: [50_000, 70_000],
    begin(simulation) {
      const host = simulation.anyProcess('producer')?.host
      return host && simulation.weather.refuseReads(host, 'market.')
    },
  },
  compaction: {
    what: 'the registry and the checkpoints are compacted',
    weight: 1,
    lasts: [0, 0],
    begin({ world: { broker } }, random) {
      for (const name of [NAMES.registry, NAMES.checkpoints])
        for (const partition of broker.topics.get(name)?.partitions ?? [])
          partition.compact(partition.end - Math.floor(random() * 20))
      return () => {}
    },
  },
  retention: {
    what: 'retention removes all but the last seconds of the fixed topics',
    weight: 1,
    lasts: [0, 0],
    begin: (simulation, random) =>
      removeOld(simulation, random, SHORTEST_KEPT_MS, (name) => name.startsWith('market.')),
  },
  expiry: {
    what: 'retention removes all but the last seconds of dynamic topics',
    weight: 1,
    lasts: [0, 0],
    begin: (simulation, random) => removeOld(simulation, random, STREAM_KEPT_MS, isOfStream),
  },
  truncation: {
    what: 'fixed topics lose their ends, as under a leader that has not all copies, and grow again',
    weight: 1,
    lasts: [0, 0],
    begin: (simulation, random) => loseEnds(simulation, random, (name) => name.startsWith('market.')),
  },
  shortening: {
    what: 'topics of streams lose their ends, and grow again',
    weight: 1,
    lasts: [0, 0],
    begin: (simulation, random) => loseEnds(simulation, random, isOfStream),
  },
  rot: {
    what: 'batches of fixed topics, or of streams, cannot be read any more, or never could',
    weight: 2,
    lasts: [0, 0],
    begin({ world: { broker } }, random) {
      const isMeant = random() < 0.5 ? isOfStream : (name: string) => name.startsWith('market.')
      const topics = [...broker.topics.values()].filter(({ spec }) => isMeant(spec.name))
      for (const partition of topics.flatMap(({ partitions }) => partitions)) {
        if (random() < 0.6) continue
        if (random() < 0.5) partition.rotNext()
        else partition.rot(Math.floor(random() * ROTTING))
      }
      return () => {}
    },
  },
  forgetting: {
    what: 'the control topic and the checkpoints lose their ends, and grow again',
    weight: 1,
    lasts: [0, 0],
    begin: (simulation, random) =>
      loseEnds(simulation, random, (name) => name === NAMES.control || name === NAMES.checkpoints),
  },
  decay: {
    what: 'batches of checkpoints and of the control topic cannot be read any more',
    weight: 1,
    lasts: [0, 0],
    begin({ world: { broker } }, random) {
      const topics = [NAMES.checkpoints, NAMES.control].flatMap((name) => broker.topics.get(name) ?? [])
      for (const partition of topics.flatMap(({ partitions }) => partitions))
        if (random() < 0.5) partition.rot(Math.floor(random() * ROTTING))
      return () => {}
    },
  },
  illegible: {
    what: 'a batch of the registry cannot be read, until somebody mends it and starts all processes again',
    weight: 1,
    lasts: [5_000, 15_000],
    begin(simulation, random) {
      const registry = simulation.world.broker.topics.get(NAMES.registry)?.partition(0)
      if (registry === undefined) return undefined
      registry.rot(Math.floor(random() * ROTTING))
      return () => {
        registry.mend()
        for (const process of [...simulation.processes]) {
          simulation.kill(process)
          simulation.restart(process)
        }
      }
    },
  },
  others: {
    what: 'somebody else deletes the topic of a stream, and may make it anew',
    weight: 1,
    lasts: [100, 10_000],
    begin(simulation, random) {
      const { broker } = simulation.world
      const topics = [...broker.topics.values()].filter(({ spec }) => isOfStream(spec.name))
      const topic = topics[Math.floor(random() * topics.length)]
      if (topic === undefined) return undefined
      broker.takenAway.add(topic.id)
      const { name } = topic.spec
      void broker.deleteTopics([{ name, id: topic.id }], new AbortController().signal)
      return () => {
        // The platform may have made the topic again itself, if it was not ready yet, and takes one that is there for what it has made.
        if (random() >= 0.4 || broker.topics.has(name)) return
        if (readRegistry(broker).streams.get(name)?.topicId !== topic.id) return
        void broker.createTopics([topic.spec], new AbortController().signal).then(([made]) => {
          if (made !== undefined) broker.madeByOthers.add(made.id)
        }, simulation.fail)
      }
    },
  },
  clock: {
    what: 'the wall clock of a process is wrong, or is set',
    weight: 1,
    lasts: [0, 0],
    begin(simulation, random) {
      const process = simulation.anyProcess()
      if (process === undefined) return undefined
      process.host.skewMs = (random() - 0.5) * 30_000
      return () => {}
    },
  },
  reader: {
    what: 'an application loses its connection, or leaves its stream and comes back',
    weight: 3,
    lasts: [0, 0],
    begin(simulation, random) {
      const { applications } = simulation
      applications[Math.floor(random() * applications.length)]?.pause()
      return () => {}
    },
  },
  lease: {
    what: 'an application gives its stream up, or a new one comes',
    weight: 2,
    lasts: [0, 0],
    begin(simulation, random) {
      const { applications } = simulation
      if (random() < 0.4) applications[Math.floor(random() * applications.length)]?.delete()
      else simulation.addApplication()
      return () => {}
    },
  },
} as const satisfies Record<string, FaultKind>

export type FaultName = keyof typeof FAULTS

export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[]

/** One of the kinds, by their weights. */
export function chooseFault(names: readonly FaultName[], random: Random): FaultName | undefined {
  let left = random() * names.reduce((sum, name) => sum + FAULTS[name].weight, 0)
  for (const name of names) {
    left -= FAULTS[name].weight
    if (left < 0) return name
  }
  return names.at(-1)
}

function removeOld(
  { world: { broker, clock } }: Simulation,
  random: Random,
  keptMs: number,
  isMeant: (name: string) => boolean,
): () => void {
  for (const { spec, partitions } of broker.topics.values())
    if (isMeant(spec.name) && random() < 0.5)
      for (const partition of partitions) partition.removeOlder(clock.now - keptMs - random() * 20_000)
  return () => {}
}

/** Most partitions lose few records, some many. */
function loseEnds(
  { world: { broker } }: Simulation,
  random: Random,
  isMeant: (name: string) => boolean,
): () => void {
  for (const { spec, partitions } of broker.topics.values())
    if (isMeant(spec.name) && random() < 0.5)
      for (const partition of partitions)
        if (random() < 0.7) partition.cut(partition.end - Math.ceil(random() ** 3 * MOST_LOST))
  return () => {}
}

/** Whether a name is that of a stream's topic: those of others that look like it are no ULID. */
function isOfStream(name: string): boolean {
  return /^app\.[0-9a-z]{26}$/.test(name)
}
