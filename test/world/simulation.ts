import type { Market } from '../../src/ports/source.ts'
import { exponential, type Random, seededRandom } from '../../src/simulator/random.ts'
import { quietLog } from '../quiet.ts'
import { Application } from './application.ts'
import { checkApplication } from './check-application.ts'
import { checkDynamic, checkRegistry } from './check-streams.ts'
import { Host, type VirtualClock } from './clock.ts'
import { readFixed, readLost } from './evidence.ts'
import { EXCHANGE, Exchange } from './exchange.ts'
import { chooseFault, FAULTS, type FaultName } from './faults.ts'
import { Groups } from './groups.ts'
import { checkKept, checkLetters, checkRows, checkTrades } from './invariants.ts'
import { checkActors, checkLevels } from './levels.ts'
import { MemoryBroker } from './memory-broker.ts'
import type { MemoryTopic } from './memory-log.ts'
import { MemoryStore } from './memory-store.ts'
import { PlatformProcess, type Role, type World, worldConfig } from './platform-process.ts'
import { readRegistry } from './registered.ts'
import { anyWish } from './tailored.ts'
import type { Trace } from './trace.ts'
import type { Promised, Violation } from './violations.ts'
import { Watch } from './watch.ts'
import { Weather } from './weather.ts'
import type { Gateway } from './wire.ts'

/** Which roles run together in a process: each layout has every role at least once. */
const LAYOUTS: readonly (readonly (readonly Role[])[])[] = [
  [['producer', 'coordinator', 'consumer-fixed', 'gateway']],
  [
    ['producer', 'coordinator', 'consumer-fixed', 'gateway'],
    ['producer', 'coordinator', 'consumer-fixed', 'gateway'],
  ],
  [
    ['producer', 'coordinator'],
    ['producer', 'gateway'],
    ['coordinator', 'consumer-fixed', 'gateway'],
  ],
  [
    ['producer'],
    ['producer', 'consumer-fixed'],
    ['coordinator', 'gateway'],
    ['coordinator', 'consumer-fixed'],
  ],
]

const SYMBOLS = ['BTC-USD', 'ETH-USD', 'SOL-EUR', 'XRP-EUR', 'ADA-USD']
/** Names that look like ours, and are of others. */
const FOREIGN = ['app.orders', 'app.events', 'tapeline-notes']
const NEVER = new AbortController().signal
/** How long the platform has to come to rest when nothing goes wrong any more. */
const SETTLE_MS = 150_000
const LOOK_EVERY_MS = 2_000

export interface SimulationOptions {
  /** The kinds of faults that may come. */
  readonly faults: readonly FaultName[]
  /** Promises that are not looked at. */
  readonly ignored: readonly Promised[]
  readonly log?: World['log'] | undefined
}

/** One world from its begin to its end: everything in it follows from the seed. */
export class Simulation {
  readonly world: World
  readonly weather: Weather
  readonly applications: Application[] = []
  readonly processes: PlatformProcess[] = []
  readonly watch: Watch
  readonly killed = new Set<string>()
  readonly #random: Random
  readonly #faults: readonly FaultName[]
  readonly #ignored: readonly Promised[]
  /** Of its own, so that it changes nothing else. */
  readonly #whims: Random
  readonly #foreign: MemoryTopic[] = []
  #begun = 0
  #isCalm = false

  constructor(seed: number, clock: VirtualClock, trace: Trace, options: SimulationOptions) {
    const random = seededRandom(`world ${seed}`)
    this.#random = random
    this.#whims = seededRandom(`whims ${seed}`)
    // Each world knows some kinds of faults only: so they meet each other in all combinations.
    this.#faults = options.faults.filter(() => random() < 0.6)
    this.#ignored = options.ignored
    this.weather = new Weather(seededRandom(`weather ${seed}`))
    const around = { clock, weather: this.weather, random: seededRandom(`around ${seed}`), trace }
    const broker = new MemoryBroker(() => clock.now)
    this.watch = new Watch(clock, this.weather, this.processes)
    const markets = SYMBOLS.slice(0, 2 + Math.floor(random() * 4)).map(
      (symbol): Market => ({ exchange: EXCHANGE, symbol }),
    )
    this.world = {
      ...around,
      broker,
      store: new MemoryStore(),
      groups: new Groups(around, broker, 6_000 + random() * 9_000),
      exchange: new Exchange(around, markets),
      config: worldConfig(1 + Math.floor(random() * 3)),
      watch: this.watch,
      log: options.log ?? (() => quietLog),
    }
  }

  /** Faults for a while, then peace; gives what was not kept. */
  async run(): Promise<Violation[]> {
    const { clock, exchange, broker, groups } = this.world
    const random = this.#random
    await broker.createTopics(
      FOREIGN.map((name) => ({ name, partitions: 1 })),
      NEVER,
    )
    this.#foreign.push(...broker.topics.values())
    for (const roles of LAYOUTS[Math.floor(random() * LAYOUTS.length)] ?? [])
      this.processes.push(new PlatformProcess(this.world, new Host(`p${this.processes.length}`), roles))
    exchange.start(3 + random() * 8)
    await clock.pass(random() * 3_000)
    for (let i = 0; i < 2 + random() * 3; i++) this.addApplication()
    if (this.#whims() < 0.6) void this.#moveStreams()
    await this.#storm(clock.now + 10_000 + random() * 25_000)
    await this.#calm()
    await clock.pass(8_000)
    exchange.stop()
    const violations = await this.#settle()
    for (const application of this.applications) application.stop()
    groups.stop()
    this.watch.stop()
    return violations
  }

  addApplication(): void {
    const random = this.#random
    const { markets } = this.world.exchange
    const some = markets.filter(() => random() < 0.5).map(({ symbol }) => symbol)
    const name = `app${this.applications.length}`
    const channel = (['trade', 'trade', 'quote', 'status'] as const)[Math.floor(random() * 4)] ?? 'trade'
    const symbols = some.length === 0 || channel === 'status' ? ['*'] : some
    // One of each world at least speaks as those outside do.
    const isOutside = this.applications.length === 0 || random() < 0.3
    const protocol = isOutside ? (random() < 0.5 ? 'id' : 'spec') : 'none'
    const application = new Application(
      this.world,
      () => this.#gateways(),
      this.world.broker.takenAway,
      name,
      protocol,
      {
        channel,
        symbols,
        ttl: 0,
        ...anyWish(channel, random),
        from: (['earliest', '2s', '10s'] as const)[Math.floor(random() * 12)] ?? 'live',
      },
    )
    this.applications.push(application)
    void application.run()
  }

  /** Applications want other streams than those that they have, now and then two in a row, until all is calm. */
  async #moveStreams(): Promise<void> {
    const { clock, exchange } = this.world
    const random = this.#whims
    while (!this.#isCalm) {
      await clock.pass(random() < 0.2 ? 100 : 1_000 + random() * 8_000)
      const application = this.applications[Math.floor(random() * this.applications.length)]
      const channel = (['trade', 'trade', 'quote'] as const)[Math.floor(random() * 3)] ?? 'trade'
      const some = exchange.markets.filter(() => random() < 0.5).map(({ symbol }) => symbol)
      const symbols = some.length === 0 ? ['*'] : some
      if (!this.#isCalm) application?.move({ channel, symbols, ...anyWish(channel, random) })
    }
  }

  /** A process that is not killed, of a role where one is asked for. */
  anyProcess(role?: Role): PlatformProcess | undefined {
    const alive = this.processes.filter(
      ({ host, roles }) => host.state !== 'dead' && (!role || roles.includes(role)),
    )
    return alive[Math.floor(this.#random() * alive.length)]
  }

  /** A fault itself could not be brought about. */
  readonly fail = (error: unknown): void => {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.watch.violations.push({ promise: 'crash', detail })
  }

  kill(process: PlatformProcess): void {
    process.kill()
    this.killed.add(process.host.name)
  }

  /** Starts another process in the place of one that was killed. */
  restart(former: PlatformProcess): void {
    const at = this.processes.indexOf(former)
    if (at < 0) return
    const name = `${former.host.name.replace(/\..*/, '')}.${++this.#begun}`
    this.processes[at] = new PlatformProcess(this.world, new Host(name), former.roles)
  }

  #gateways(): Gateway[] {
    return this.processes.flatMap(({ host, running }) =>
      running?.door ? [{ host, door: running.door }] : [],
    )
  }

  async #storm(until: number): Promise<void> {
    const { clock, trace } = this.world
    const random = this.#random
    const everyMs = 800 + random() * 4_000
    const lasting: Promise<void>[] = []
    while (clock.now < until) {
      await clock.pass(everyMs * exponential(random))
      const name = chooseFault(this.#faults, random)
      if (name === undefined) continue
      const { lasts, begin } = FAULTS[name]
      const end = begin(this, random)
      if (end === undefined) continue
      const ms = lasts[0] + random() * (lasts[1] - lasts[0])
      trace.add('fault', `${name}${ms > 0 ? ` for ${(ms / 1_000).toFixed(1)} s` : ''}`)
      lasting.push(
        clock.pass(ms).then(() => {
          end()
          if (ms > 0) trace.add('fault', `${name} is over`)
        }),
      )
    }
    await Promise.all(lasting)
  }

  async #calm(): Promise<void> {
    this.world.trace.add('fault', 'all is calm')
    this.#isCalm = true
    this.weather.clear()
    for (const process of this.processes) process.thaw()
  }

  /** Waits until everything is as it should be; gives what is not, when the time is over. */
  async #settle(): Promise<Violation[]> {
    const { clock } = this.world
    const end = clock.now + SETTLE_MS
    for (;;) {
      await clock.pass(LOOK_EVERY_MS)
      const violations = this.#check().filter(({ promise }) => !this.#ignored.includes(promise))
      if (violations.length === 0 || clock.now >= end) return violations
    }
  }

  #check(): Violation[] {
    const { broker, store, exchange, groups, config, clock } = this.world
    const fixed = readFixed(broker)
    const lost = readLost(broker)
    const registered = readRegistry(broker)
    const { partitions } = config.topics
    const { handed } = exchange
    return [
      ...checkTrades(exchange, broker, fixed, lost),
      ...checkKept(
        { handed, gifts: groups.gifts, takeOvers: broker.takeOvers, partitions, killed: this.killed },
        fixed,
        lost,
      ),
      ...this.watch.violations,
      ...this.watch.checkPace(handed, broker.takeOvers, fixed.trade),
      ...checkRows(store, fixed, lost),
      ...checkLetters(store, broker),
      ...checkDynamic(registered, broker, fixed, lost),
      ...this.applications.flatMap((application) => checkApplication(application, broker, registered, lost)),
      ...checkRegistry(registered, broker, this.#foreign),
      ...checkActors(this.processes),
      ...checkLevels(this.processes, broker, clock),
    ]
  }
}
