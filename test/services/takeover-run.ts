import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../src/control/bus.ts'
import { claimOwnership } from '../../src/control/claim.ts'
import { openRegistry } from '../../src/control/registry.ts'
import { registryEntry } from '../../src/control/registry-records.ts'
import { ensureTopics } from '../../src/control/topics.ts'
import type { Trade } from '../../src/domain/events.ts'
import type { StreamSpec } from '../../src/domain/stream-spec.ts'
import { TapelineError, toTapelineError } from '../../src/errors.ts'
import type { Broker, TransactionalWriter } from '../../src/ports/broker.ts'
import type { Source } from '../../src/ports/source.ts'
import { createProducerServices } from '../../src/services/producer/producer.ts'
import { NAMES } from '../names.ts'
import { quietAlerts, quietLog, quietMeter } from '../quiet.ts'
import { compare, compareWindows, countSilent, readAll, TRADE_EVERY } from './takeover-evidence.ts'

/**
 * One random interleaving of owners of one shard, as in the model of rulings R4, R5 and R8: owners stall at every call to the
 * broker, die, or go on later as zombies while another has taken over. The producer's services are the real ones.
 */
export interface RunResult {
  /** Trades missing in the fixed topic that no gap covers. */
  readonly silent: number
  /** Trades twice in the fixed topic; of the fixed topic missing in the dynamic one; the other way round; twice there. */
  readonly dupF: number
  readonly hole: number
  readonly phantom: number
  readonly dupD: number
  /** Records of streams with windows that are not what the windows over the fixed topic give. */
  readonly windows: number
  readonly closed: number
  readonly trades: number
  readonly owners: number
}

const TRADES = 40
const REPEATED = 5
const STEPS = 250
const forever = new AbortController().signal

/** mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const tradeAt = (n: number): Trade => ({
  exchange: 'x',
  symbol: 'A-B',
  id: `t${n}`,
  side: 'buy',
  price: 1,
  size: 1,
  ts: 1_000 + n * TRADE_EVERY,
  recvTs: 1_000 + n * TRADE_EVERY,
})

const ALL = { channel: 'trade', symbols: ['*'], exchanges: [] } as const
/** The streams, by topic. */
const STREAMS: Readonly<Record<string, StreamSpec>> = {
  'app.test': ALL,
  'app.latest': { ...ALL, every: '250ms', lateness: '100ms' },
  'app.candles': { ...ALL, interval: '1s', lateness: '0ms' },
}

/** Holds every call of one owner to the broker until it is let through. */
class Gate {
  readonly waiting: (() => void)[] = []
  /** Calls let through and not settled. */
  inFlight = 0
  readonly #over: AbortSignal

  /** Whoever still waits when the run is over is sent home. */
  constructor(over: AbortSignal) {
    this.#over = over
  }

  async pass<T>(call: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve, reject) => {
      this.waiting.push(resolve)
      this.#over.addEventListener('abort', () => reject(this.#over.reason), { once: true })
    })
    this.inFlight++
    try {
      return await call()
    } finally {
      this.inFlight--
    }
  }
}

/** How often the broker's answer to a write is lost, and how often the write itself is. */
const LOST_SHARE = 0.02

/**
 * The broker as one owner sees it: the group gives it the shard at once, each call may stall before and after, and a write may
 * fail with an unknown outcome.
 */
function gated(broker: Broker, gate: Gate, random: () => number): Broker {
  const around = <T>(call: () => Promise<T>): Promise<T> =>
    gate.pass(call).then((result) => gate.pass(async () => result))
  const lose = (what: string): void => {
    if (random() < LOST_SHARE) throw new TapelineError('BROKER_UNAVAILABLE', `${what} was lost`)
  }
  const unsure = <T>(write: () => Promise<T>): Promise<T> =>
    around(async () => {
      lose('a write')
      const result = await write()
      lose('an answer')
      return result
    })
  const writer = (inner: TransactionalWriter): TransactionalWriter => ({
    commit: (entries, signal) => unsure(() => inner.commit(entries, signal)),
    close: () => inner.close(),
  })
  return {
    ...broker,
    createTopics: (specs, signal) => broker.createTopics(specs, signal),
    deleteTopics: (names, signal) => broker.deleteTopics(names, signal),
    close: () => broker.close(),
    listTopics: (prefix, signal) => around(() => broker.listTopics(prefix, signal)),
    describeTopics: (names, signal) => around(() => broker.describeTopics(names, signal)),
    topicIds: (names, signal) => around(() => broker.topicIds(names, signal)),
    offsetAt: (topic, partition, at, signal) => around(() => broker.offsetAt(topic, partition, at, signal)),
    publish: (entries, signal) => unsure(() => broker.publish(entries, signal)),
    takeOver: async (id, signal) => writer(await around(() => broker.takeOver(id, signal))),
    openReader: (signal) => broker.openReader(signal),
    joinGroup: async ({ topics, onAssignment }) => {
      await onAssignment(topics.map((topic) => ({ topic, partition: 0 })))
      return { commit: async () => {}, leave: async () => {} }
    },
  }
}

/** The broker that a run is on, with no topic, and how long an owner may need from one call to the next. */
export interface Ground {
  readonly open: (now: () => number) => Promise<Broker>
  readonly patienceMs: number
}

const EMBEDDED: Ground = { open: (now) => openEmbeddedBroker({ folder: ':memory:', now }), patienceMs: 0 }

export async function runTakeovers(
  seed: number,
  { open, patienceMs }: Ground = EMBEDDED,
): Promise<RunResult> {
  const random = randomFrom(seed)
  let clock = 1_700_000_000_000
  const broker = await open(() => clock)
  const settings = { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, forever)
  const topics = NAMES.fixed
  const names = Object.keys(STREAMS)
  const made = await broker.createTopics(
    names.map((name) => ({ name, partitions: 1 })),
    forever,
  )
  const leader = await claimOwnership(broker, NAMES, NAMES.leaderId, 'test', clock, forever)
  const records = made.map(({ name, id }) =>
    registryEntry({
      ...{ v: 1, instance: 'test', epoch: leader.epoch, kind: 'stream', id: name, state: 'ready' },
      ...{ topic: name, topicId: id, spec: STREAMS[name] ?? ALL, start: [0], createdAt: clock },
    }),
  )
  await leader.writer.commit([{ topic: NAMES.registry, partition: 0, records }], forever)
  const registry = await openRegistry(broker, NAMES, quietLog, forever)
  const bus = await openControlBus(broker, NAMES, registry, quietLog, forever)

  const over = new AbortController()
  let fetched = 0
  let owners = 0
  const connect = (): Source => {
    let position = Math.max(0, fetched - REPEATED)
    let isNew = true
    return {
      name: 'test',
      async next() {
        const count = Math.min(TRADES - position, 1 + Math.floor(random() * 4))
        const trades = Array.from({ length: count }, (_, i) => tradeAt(position + i))
        position += count
        fetched = Math.max(fetched, position)
        const items = trades.map((event) => ({ channel: 'trade', event }) as const)
        const status = {
          source: 'test',
          exchange: '',
          state: 'connected',
          detail: '',
          ts: clock * 1000,
        } as const
        const opening = isNew ? [{ channel: 'connection', status, mayHaveMissed: true } as const] : []
        isNew = false
        return { items: [...opening, ...items] }
      },
      get ended() {
        return position >= TRADES
      },
      subscribe() {},
      unsubscribe() {},
      health: () => {
        throw new Error('not asked for here')
      },
      async close() {},
    }
  }

  /** Does a step again until it succeeds, a while later each time, as the machine does. */
  const untilDone = async <T>({ gate }: Owner, step: () => Promise<T>): Promise<T> => {
    while (true) {
      try {
        return await step()
      } catch (error) {
        if (over.signal.aborted || !toTapelineError(error).retryable) throw error
        await gate.pass(async () => {})
      }
    }
  }

  interface Owner {
    readonly gate: Gate
    done: boolean
  }

  const own = (): Owner => {
    const owner: Owner = { gate: new Gate(over.signal), done: false }
    owners++
    const source = connect()
    const work = async (): Promise<void> => {
      const services = await createProducerServices(
        {
          alerts: quietAlerts,
          names: NAMES,
          source,
          markets: [],
          broker: gated(broker, owner.gate, random),
          registry,
          bus,
          instance: `owner-${owners}`,
          topics,
          partitions: 1,
          standing: new Map(),
          lingerMs: 0,
          now: () => clock,
          newId: () => `${random()}`,
          log: quietLog,
          meter: quietMeter,
        },
        forever,
      )
      for (let last = false; !last; ) {
        last = source.ended
        const data = await services.fetchData(0, over.signal)
        const outcome = await untilDone(owner, () => services.publishFixed(data, over.signal))
        for (let due = outcome.dynamicWaiting; due || services.topicsAside() > 0; ) {
          due = (await untilDone(owner, () => services.publishDynamic(over.signal))).dynamicWaiting
          // A topic that was set aside rests: time must pass.
          if (services.topicsAside() > 0) await owner.gate.pass(async () => {})
        }
      }
    }
    work()
      .catch((error: unknown) => {
        if (over.signal.aborted) return
        const code = (error as { code?: string }).code
        if (code !== 'FENCED') throw error
      })
      .finally(() => {
        owner.done = true
      })
    return owner
  }

  /** Lets one call of an owner through, and waits until the owner stands at its next call or has ended. */
  const step = async (owner: Owner): Promise<void> => {
    const { gate } = owner
    const at = Math.floor(random() * gate.waiting.length)
    const [release] = gate.waiting.splice(at, 1)
    release?.()
    do await nextTurn()
    while (gate.inFlight > 0)
    for (let turns = 0; turns < 4 && gate.waiting.length === 0; turns++) await nextTurn()
    const end = performance.now() + patienceMs
    while (gate.waiting.length === 0 && !owner.done && performance.now() < end) await delay(1)
  }

  let running: Owner[] = [own()]
  const stalled: Owner[] = []
  await nextTurn()
  for (let i = 0; i < STEPS; i++) {
    clock += Math.floor(random() * 500)
    const dice = random()
    if (dice < 0.03 && running.length + stalled.length < 4) {
      const [former] = running.splice(Math.floor(random() * running.length), 1)
      if (former && random() < 0.6) stalled.push(former)
      running.push(own())
      await nextTurn()
    } else if (dice < 0.06 && stalled.length > 0) {
      running.push(...stalled.splice(Math.floor(random() * stalled.length), 1))
    }
    running = running.filter(({ done }) => !done)
    if (running.length === 0) running.push(own())
    await step(running[Math.floor(random() * running.length)] as Owner)
  }
  for (let i = 0; i < 3; i++) {
    const last = own()
    for (let steps = 0; !last.done; steps++) {
      if (steps > 5_000) throw new Error(`seed ${seed}: the last owner does not come to an end`)
      clock += 300
      await step(last)
    }
  }

  over.abort()
  const fixed = await readAll(broker, topics.trade)
  const derived = await readAll(broker, 'app.test')
  const status = await readAll(broker, topics.status)
  let [windows, closed] = [0, 0]
  for (const name of names.filter((each) => each !== 'app.test')) {
    const own = await readAll(broker, name)
    windows += compareWindows(STREAMS[name] ?? ALL, fixed, own)
    closed += own.length
  }
  await registry.close()
  await bus.close()
  await broker.close()
  return { ...compare(fixed, derived), windows, closed, silent: countSilent(fixed, status), owners }
}
