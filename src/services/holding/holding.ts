import { TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker, GroupMember, ReadPosition, TopicPartition } from '../../ports/broker.ts'
import { givenAnew, type Held, type Hold, isDue, NO_REST, UNOWNED } from './hold.ts'

/**
 * How long this process leaves a partition to another one that took it, while the group gives it to this one. A process that stood still
 * hears within seconds that the group has moved on. If it does not hear so, the other process was the stale one.
 */
const REST_MS = 10_000

interface HoldingOptions<Key, Value, Former> {
  readonly broker: Pick<Broker, 'joinGroup'>
  readonly group: string
  readonly topics: readonly string[]
  readonly keyOf: (partition: TopicPartition) => Key
  /** Milliseconds. */
  readonly now: () => number
  /** What this process remembers of a value while its partition is in doubt. */
  readonly remember: (value: Value) => Former
  /**
   * Ends what belongs to a value that is about to be held no longer. If the next state is `unowned`, the group waits for the promise before
   * it gives the partition to another process.
   */
  readonly release: (value: Value, next: Hold<Value, Former>['state']) => Promise<void> | void
  /** Called when this process has nothing of a partition any more, not even in doubt. */
  readonly left?: (partition: TopicPartition, next: 'unowned' | 'yielded') => void
  /** Called when the group has said what it gives. */
  readonly assigned?: () => void
  /** This process keeps what it holds while nobody knows what the group gives, as while the broker is away. */
  readonly outlastsOutages?: true
}

/** A claim under way. This process claims again what the work tells nothing of. */
export interface Claiming<Key, Value> {
  readonly partitions: readonly TopicPartition[]
  /** Also aborts when the group may have given the partitions to others. */
  readonly signal: AbortSignal
  /** The partition is held from now on. Gives false if the group has moved on: the caller closes the value then. */
  readonly succeed: (key: Key, value: Value) => boolean
  /** Another process took the partition in between. A doubted one stays doubted: the group, or a later claim, tells whose it is. */
  readonly refuse: (key: Key) => void
  /** Another process is to have it. */
  readonly yield: (key: Key) => void
}

/**
 * The partitions that a group gives to this process, and how the process stands to each. The group alone does not say who may write. Whoever
 * holds a partition has claimed it, so that broker and database refuse a former owner's writes (R8).
 */
export class Holding<Key, Value, Former = undefined> {
  readonly #options: HoldingOptions<Key, Value, Former>
  #member: GroupMember | undefined
  #given: ReadonlyMap<Key, TopicPartition> = new Map()
  /** Of every partition that the group gives. */
  readonly #holds = new Map<Key, Hold<Value, Former>>()
  /** The values among them. */
  readonly #held = new Map<Key, Value>()
  /** Rises each time the group gives. */
  #generation = 0
  /** Nobody knows what the group gives until it says so again; this process claims nothing meanwhile. */
  #isGroupAway = false
  #claiming = new AbortController()

  constructor(options: HoldingOptions<Key, Value, Former>) {
    this.#options = options
  }

  /** Joins the group, where this process is not in it. */
  async join(signal: AbortSignal): Promise<void> {
    const { broker, group, topics, outlastsOutages } = this.#options
    this.#member ??= await broker.joinGroup(
      {
        ...{ group, topics, onAssignment: (partitions) => this.#assign(partitions) },
        ...(outlastsOutages && { onDoubt: () => this.#suspend() }),
      },
      signal,
    )
  }

  get held(): ReadonlyMap<Key, Value> {
    return this.#held
  }

  /** What is known of the partitions that are in doubt. */
  get doubted(): ReadonlyMap<Key, Former> {
    const doubted = new Map<Key, Former>()
    for (const [key, hold] of this.#holds) if (hold.state === 'doubted') doubted.set(key, hold.former)
    return doubted
  }

  /** What is to be claimed now. */
  get due(): readonly TopicPartition[] {
    if (this.#isGroupAway) return []
    const now = this.#options.now()
    return [...this.#given].flatMap(([key, partition]) => (isDue(this.#hold(key), now) ? partition : []))
  }

  /** Whether the group gives it to this process, and no other one has just taken it. */
  has(key: Key): boolean {
    const hold = this.#hold(key)
    return !this.#isGroupAway && (hold.state === 'held' || isDue(hold, this.#options.now()))
  }

  /**
   * Claims what is due, one claim at a time; resolves at once where nothing is due. Raises what `work` raises. FENCED refuses all that is
   * claimed.
   */
  async claim(signal: AbortSignal, work: (claim: Claiming<Key, Value>) => Promise<void>): Promise<void> {
    const partitions = this.due
    if (partitions.length === 0) return
    const claimedIn = this.#generation
    const succeed = (key: Key, value: Value): boolean => {
      this.#move(key, { state: 'held', value, claimedIn })
      return this.#given.has(key)
    }
    const yieldIt = (key: Key): void => {
      this.#move(key, { state: 'yielded', restsUntil: this.#endOfRest(claimedIn) })
    }
    const refuse = (key: Key): void => {
      const hold = this.#hold(key)
      if (hold.state !== 'doubted') yieldIt(key)
      else this.#move(key, { ...hold, restsUntil: this.#endOfRest(claimedIn) })
    }
    this.#claiming = new AbortController()
    const either = AbortSignal.any([signal, this.#claiming.signal])
    try {
      await work({ partitions, signal: either, succeed, refuse, yield: yieldIt })
    } catch (error) {
      if (toTapelineError(error).code === 'FENCED') partitions.map(this.#options.keyOf).forEach(refuse)
      throw error
    }
  }

  /** A write has brought what is held on. */
  advance(key: Key, value: Value): void {
    this.#moveHeld(key, (hold) => ({ ...hold, value }))
  }

  /** Nobody knows what became of a write: this process claims the partition anew before the next one. */
  doubt(key: Key): void {
    this.#moveHeld(key, ({ value }) => ({
      ...{ state: 'doubted', restsUntil: NO_REST },
      former: this.#options.remember(value),
    }))
  }

  /**
   * The broker refuses a write. As a rule another process has claimed the partition; but a late claim of this process's own does the same. The
   * partition is doubted, and rests until the group or a later claim tells whose it is.
   */
  refuse(key: Key): void {
    this.#moveHeld(key, ({ value, claimedIn }) => ({
      ...{ state: 'doubted', restsUntil: this.#endOfRest(claimedIn) },
      former: this.#options.remember(value),
    }))
  }

  /** Another process has the partition: this one claims it again if the group gives it once more, or still gives it after a while. */
  yield(key: Key): void {
    this.#moveHeld(key, ({ claimedIn }) => ({ state: 'yielded', restsUntil: this.#endOfRest(claimedIn) }))
  }

  /** Tells the usual tools how far this process is. */
  async commit(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void> {
    await this.#member?.commit(positions, signal)
  }

  /** Leaves the group, and lets go of all that is held. */
  async leave(): Promise<void> {
    const member = this.#member
    this.#member = undefined
    const released = [...this.#held.values()].map((value) => this.#options.release(value, 'unowned'))
    this.#given = new Map()
    this.#holds.clear()
    this.#held.clear()
    await member?.leave()
    await Promise.all(released)
  }

  async #assign(partitions: readonly TopicPartition[]): Promise<void> {
    const wasAway = this.#isGroupAway
    const given = new Map(partitions.map((each) => [this.#options.keyOf(each), each]))
    const lost = [...this.#given.keys()].filter((key) => !given.has(key))
    const released = lost.map((key) => this.#move(key, UNOWNED))
    for (const key of lost) this.#holds.delete(key)
    this.#given = given
    this.#generation++
    this.#isGroupAway = false
    for (const key of given.keys()) {
      // Another process may have had it for a while: a claim tells.
      if (wasAway) this.doubt(key)
      this.#holds.set(key, givenAnew(this.#hold(key)))
    }
    await Promise.all(released)
    this.#options.assigned?.()
  }

  #suspend(): void {
    this.#isGroupAway = true
    // Others may have the partitions by now: this process takes nothing from them.
    this.#claiming.abort(
      new TapelineError('BROKER_UNAVAILABLE', 'the group may have given the partitions to others'),
    )
  }

  /** The refusal of a claim from before the present assignment is no reason to rest. */
  #endOfRest(claimedIn: number): number {
    return claimedIn === this.#generation ? this.#options.now() + REST_MS : NO_REST
  }

  #hold(key: Key): Hold<Value, Former> {
    return this.#holds.get(key) ?? UNOWNED
  }

  #moveHeld(key: Key, next: (hold: Held<Value>) => Hold<Value, Former>): void {
    const hold = this.#hold(key)
    if (hold.state === 'held') this.#move(key, next(hold))
  }

  /** Every change of state goes through here. Resolves when the value that was held is released. */
  async #move(key: Key, next: Hold<Value, Former>): Promise<void> {
    const hold = this.#hold(key)
    const partition = this.#given.get(key)
    if (partition === undefined) return
    const isReleased = hold.state === 'held' && next.state !== 'held'
    const released = isReleased ? this.#options.release(hold.value, next.state) : undefined
    this.#holds.set(key, next)
    if (next.state === 'held') this.#held.set(key, next.value)
    else this.#held.delete(key)
    if (next.state === 'unowned' || next.state === 'yielded') this.#options.left?.(partition, next.state)
    await released
  }
}
