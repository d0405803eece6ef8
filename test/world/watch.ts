import type { Host, VirtualClock } from './clock.ts'
import type { FixedRecord } from './evidence.ts'
import type { Handed } from './exchange.ts'
import type { MemoryBroker } from './memory-broker.ts'
import { NAMES } from './names.ts'
import type { PlatformProcess } from './platform-process.ts'
import type { Violation } from './violations.ts'
import type { Weather } from './weather.ts'

const LOOK_MS = 1_000
/** An outage is shown within 5 s by what stands still. */
const SHOWN_WITHIN_MS = 5_000
/** It takes some seconds more until nobody was at work before it. */
const SHOWN_AFTER_MS = 9_000
/** Nothing but the broker itself holds what a source gave up for longer: a publish and a derivation have a deadline each (R3). */
const LONGEST_MS = 45_000

/** What a machine goes through in a second at most: one that finds nothing to do again and again goes through thousands. */
const MOST_TRANSITIONS = 1_000

/** Looks at the processes while a world runs: what they show of an outage, and when they could have published. */
export class Watch {
  readonly violations: Violation[] = []
  readonly #clock: VirtualClock
  readonly #weather: Weather
  readonly #processes: readonly PlatformProcess[]
  /** By process, when something kept it from publishing. */
  readonly #hindered = new Map<string, number[]>()
  /** By process and machine: in which second it changed its state last, and how often in that. */
  readonly #transitions = new Map<string, { second: number; count: number }>()
  #isOver = false

  constructor(clock: VirtualClock, weather: Weather, processes: readonly PlatformProcess[]) {
    this.#clock = clock
    this.#weather = weather
    this.#processes = processes
    this.#lookLater()
  }

  stop(): void {
    this.#isOver = true
  }

  /** The broker is away for all from now on: every machine that works with it says so soon. */
  async expectOutageShown(): Promise<void> {
    const clock = this.#clock
    const before = this.#processes.filter(({ host, running }) => host.state === 'running' && running)
    const begun = clock.now
    await clock.pass(SHOWN_AFTER_MS)
    if (!this.#weather.isGone('broker')) return
    for (const { host, running } of before) {
      if (host.state !== 'running' || host.frozenAt >= begun) continue
      for (const { id, machine, state, since } of running?.roster.list() ?? []) {
        // An application that reads nothing misses nothing; who tries again just now has said so before.
        const isFine = state === 'error' || (machine === 'consumerDynamic' && state === 'idle')
        const enteredAt = Date.parse(since) - host.skewMs
        if (!isFine && clock.now - enteredAt > SHOWN_WITHIN_MS)
          this.violations.push({
            promise: 'not shown',
            detail: `${id} of ${host.name} is in ${state} ${SHOWN_AFTER_MS / 1_000} s after the broker went away`,
          })
      }
    }
  }

  /** Nothing spins: what has nothing to do waits. */
  countTransition({ name }: Host, actor: string): void {
    const second = Math.floor(this.#clock.now / LOOK_MS)
    const key = `${name} ${actor}`
    const counted = this.#transitions.get(key)
    const count = counted?.second === second ? counted.count + 1 : 1
    this.#transitions.set(key, { second, count })
    if (count === MOST_TRANSITIONS)
      this.violations.push({
        promise: 'spins',
        detail: `${actor} of ${name} went through ${count} states within a second`,
      })
  }

  /** R3: what a source handed to an owner that nothing hindered was published within its deadlines. */
  checkPace(
    handed: readonly Handed[],
    takeOvers: MemoryBroker['takeOvers'],
    trades: readonly FixedRecord<'trade'>[],
  ): Violation[] {
    const published = new Map(trades.map((record) => [record.event.id, record]))
    return handed.flatMap(({ host, item, at }): Violation[] => {
      const record = item.channel === 'trade' ? published.get(item.event.id) : undefined
      if (record === undefined || record.at - at <= LONGEST_MS) return []
      const isWithin = (moment: number): boolean => moment >= at - LOOK_MS && moment <= at + LONGEST_MS
      if (this.#hindered.get(host.name)?.some(isWithin)) return []
      // Where another process takes the shard, the trade is that one's to publish, once it can read what the fixed topics hold.
      const isConcerned = (each: MemoryBroker['takeOvers'][number]): boolean =>
        each.host === host.name || each.id === NAMES.shardId(record.shard)
      if (takeOvers.some((each) => isConcerned(each) && isWithin(each.at))) return []
      const seconds = ((record.at - at) / 1_000).toFixed(1)
      return [
        {
          promise: 'held up',
          detail: `${host.name} published a trade ${seconds} s after it got it at ${at}`,
        },
      ]
    })
  }

  #lookLater(): void {
    this.#clock.after(undefined, LOOK_MS, () => {
      if (this.#isOver) return
      for (const { host } of this.#processes) {
        if (this.#weather.isFair(host)) continue
        const moments = this.#hindered.get(host.name) ?? []
        this.#hindered.set(host.name, moments)
        moments.push(this.#clock.now)
      }
      this.#lookLater()
    })
  }
}
