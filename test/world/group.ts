import type { VirtualClock } from './clock.ts'

/** How long the others wait until a member has given up what it loses. */
const REVOKE_MS = 5_000

/** A member as its group knows it. */
export interface Member {
  readonly name: string
  /** The shards that it has, and asks for where it comes in again. */
  shards: readonly number[]
  /** Tells it what it has from now on; resolves when it has taken note. */
  readonly tell: (shards: readonly number[]) => Promise<void>
}

/**
 * One consumer group. All topics of a group have the same number of partitions, and partition k of each belongs together: a shard. A
 * member keeps what it has as far as that is its share; what it loses is taken from it before another gets it.
 */
export class Group {
  readonly #clock: VirtualClock
  readonly #shards: number
  readonly #members = new Set<Member>()
  /** Those who came in and have not been told yet. */
  readonly #comers = new Set<Member>()
  #isStale = false
  #isDealing = false

  constructor(clock: VirtualClock, shards: number) {
    this.#clock = clock
    this.#shards = shards
  }

  /** Takes a member in; it is told what it has, also where that is what it had. */
  enter(member: Member): void {
    this.#members.add(member)
    void this.#deal(member)
  }

  leave(member: Member): void {
    if (this.#members.delete(member)) void this.#deal(undefined)
  }

  has(member: Member): boolean {
    return this.#members.has(member)
  }

  async #deal(comer: Member | undefined): Promise<void> {
    if (comer) this.#comers.add(comer)
    this.#isStale = true
    if (this.#isDealing) return
    this.#isDealing = true
    while (this.#isStale) {
      this.#isStale = false
      const shares = this.#share()
      const losing = [...shares].filter(
        ([member, share]) => loses(member, share) && !this.#comers.has(member),
      )
      await this.#inTime(losing.map(([member, share]) => give(member, kept(member, share))))
      if (this.#isStale) continue
      for (const [member, share] of shares) {
        if (!this.#comers.delete(member) && isEqual(member.shards, share)) continue
        void give(member, share)
      }
    }
    this.#isDealing = false
  }

  #share(): Map<Member, readonly number[]> {
    const most = Math.ceil(this.#shards / Math.max(1, this.#members.size))
    const shares = new Map<Member, number[]>()
    const free = new Set(Array.from({ length: this.#shards }, (_, k) => k))
    for (const member of this.#members) {
      // Who asks for what another has by now does not get it.
      const own = member.shards.filter((k) => free.has(k)).slice(0, most)
      for (const k of own) free.delete(k)
      shares.set(member, own)
    }
    for (const k of free) {
      const [, least] = [...shares].sort(([, a], [, b]) => a.length - b.length)[0] ?? []
      least?.push(k)
    }
    return new Map([...shares].map(([member, share]) => [member, share.sort((a, b) => a - b)]))
  }

  async #inTime(told: readonly Promise<void>[]): Promise<void> {
    if (told.length > 0) await Promise.race([Promise.all(told), this.#clock.pass(REVOKE_MS)])
  }
}

function give(member: Member, shards: readonly number[]): Promise<void> {
  member.shards = shards
  return member.tell(shards)
}

function kept({ shards }: Member, share: readonly number[]): number[] {
  return shards.filter((k) => share.includes(k))
}

function loses({ shards }: Member, share: readonly number[]): boolean {
  return shards.some((k) => !share.includes(k))
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((k, i) => k === b[i])
}
