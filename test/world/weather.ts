import type { Random } from '../../src/simulator/random.ts'
import type { Host } from './clock.ts'

export type Service = 'broker' | 'store'

/** How a call to a service ends that does not simply succeed. */
export type Fate = 'ok' | 'lost-request' | 'lost-answer' | 'late'

/** How often calls fail while a storm lasts: of the requests, of the answers, and how often a write takes effect after its failure. */
export interface Storm {
  readonly lostRequests: number
  readonly lostAnswers: number
  readonly late: number
  /** How often a call takes long, and how long at most. */
  readonly slow: number
  readonly slowMs: number
}

const CALM: Storm = { lostRequests: 0, lostAnswers: 0, late: 0, slow: 0.01, slowMs: 50 }

/** An outage of a service, for one process or for all. */
interface Outage {
  readonly service: Service
  readonly host: Host | undefined
  /** Whether calls are refused, or hang until they give up. */
  readonly mode: 'refuse' | 'hang'
}

/** What lies between the processes and the services at present. Faults change it; the ports ask it. */
export class Weather {
  readonly #random: Random
  readonly #outages = new Set<Outage>()
  readonly #storms = new Map<Host | undefined, Storm>()
  /** Topics that the metadata of a process lacks. */
  readonly #hidden = new Map<Host, Set<string>>()
  /** Topics to which nothing can be written. */
  readonly #unwritable = new Set<string>()
  /** Processes whose fetches fail, and of which topics. */
  readonly #unreadable = new Map<Host, string>()
  /** Processes of which the group coordinator hears nothing, though all else works. */
  readonly #unheard = new Set<Host>()

  constructor(random: Random) {
    this.#random = random
  }

  /** Everything is well from now on. */
  clear(): void {
    for (const each of [
      this.#outages,
      this.#storms,
      this.#hidden,
      this.#unwritable,
      this.#unreadable,
      this.#unheard,
    ])
      each.clear()
  }

  /** Begins an outage; gives what ends it. */
  begin(outage: Outage): () => void {
    this.#outages.add(outage)
    return () => void this.#outages.delete(outage)
  }

  storm(host: Host | undefined, storm: Storm): () => void {
    this.#storms.set(host, storm)
    return () => void this.#storms.delete(host)
  }

  hide(host: Host, topics: readonly string[]): () => void {
    this.#hidden.set(host, new Set([...(this.#hidden.get(host) ?? []), ...topics]))
    return () => void this.#hidden.delete(host)
  }

  refuseWrites(topic: string): () => void {
    this.#unwritable.add(topic)
    return () => void this.#unwritable.delete(topic)
  }

  refuseReads(host: Host, prefix: string): () => void {
    this.#unreadable.set(host, prefix)
    return () => void this.#unreadable.delete(host)
  }

  loseHeartbeats(host: Host): () => void {
    this.#unheard.add(host)
    return () => void this.#unheard.delete(host)
  }

  /** How a service is away for a process; undefined where it is there. */
  away(host: Host, service: Service): Outage['mode'] | undefined {
    for (const outage of this.#outages)
      if (outage.service === service && (outage.host === undefined || outage.host === host))
        return outage.mode
    return undefined
  }

  /** Whether a service is away for everybody. */
  isGone(service: Service): boolean {
    return [...this.#outages].some((outage) => outage.service === service && outage.host === undefined)
  }

  /** Whether the group coordinator hears a process. */
  hears(host: Host): boolean {
    return host.state === 'running' && this.connects(host)
  }

  /** Whether what the group coordinator says reaches a process that runs. */
  connects(host: Host): boolean {
    return this.away(host, 'broker') === undefined && !this.#unheard.has(host)
  }

  hides(host: Host, topic: string): boolean {
    return this.#hidden.get(host)?.has(topic) ?? false
  }

  writes(topic: string): boolean {
    return !this.#unwritable.has(topic)
  }

  reads(host: Host, topic: string): boolean {
    const prefix = this.#unreadable.get(host)
    return prefix === undefined || !topic.startsWith(prefix)
  }

  /** Whether anything keeps a process from publishing what it has. */
  isFair(host: Host): boolean {
    return (
      this.hears(host) &&
      this.#stormOf(host) === CALM &&
      !this.#hidden.has(host) &&
      this.away(host, 'store') === undefined
    )
  }

  fate(host: Host, isWrite: boolean): Fate {
    const { lostRequests, lostAnswers, late } = this.#stormOf(host)
    const dice = this.#random()
    if (dice < lostRequests) return 'lost-request'
    if (dice < lostRequests + lostAnswers) return 'lost-answer'
    return isWrite && dice < lostRequests + lostAnswers + late ? 'late' : 'ok'
  }

  /** How long a message travels, in milliseconds. */
  transitMs(host: Host): number {
    const { slow, slowMs } = this.#stormOf(host)
    const usual = 0.1 + this.#random() * 0.9
    return this.#random() < slow ? usual + this.#random() * slowMs : usual
  }

  #stormOf(host: Host): Storm {
    return this.#storms.get(host) ?? this.#storms.get(undefined) ?? CALM
  }
}
