import type { Timer } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import type { FetchAnswer, FetchRequest } from './fetch-request.ts'
import type { LeaderEpochs } from './leader-epochs.ts'

/** A partition that is read. Where it is read from another offset, it is another one. */
export interface Assigned {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** The next offset to fetch. */
  offset: number
  /** That of the leader from which it is fetched; -1 where it is not known. */
  leaderEpoch: number
  readonly epochs: LeaderEpochs
  /** Since when nothing came although there was something (performance.now). */
  behindSince: number | undefined
}

/** A fetch under way. */
export interface FetchWait {
  /** Since when (performance.now). */
  readonly since: number
  /** Cuts it off later. */
  cut: Timer | undefined
  isCut: boolean
}

/** Codes of a session that the broker does not know any more, or otherwise. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const SESSION_LOST = new Set([70, 71, 106])
/** After so long a session begins anew with all positions, whatever the broker thinks of it. */
const RENEW_MS = 30_000

type Change = Pick<FetchRequest, 'sessionId' | 'sessionEpoch' | 'positions' | 'forgotten'>

/**
 * The partitions that one reader fetches from one broker, and what the broker knows of them: a request only names what has
 * changed, since with thousands of topics a whole one is large. One request at a time; two at once would end the session.
 * Source: https://cwiki.apache.org/confluence/display/KAFKA/KIP-227
 */
export class FetchLane {
  /** Whether answers name topics by id, and tell of a log that differs from what was fetched. */
  readonly #byId: boolean
  readonly #members = new Set<Assigned>()
  readonly #changed = new Set<Assigned>()
  /** Those of which is to be asked whether the leader's log still holds what was fetched. */
  readonly unchecked = new Set<Assigned>()
  /** The fetch under way, if there is one. */
  wait: FetchWait | undefined
  #removed: Assigned[] = []
  /** What the broker has, as its answers name it. */
  readonly #sent = new Map<string, Assigned>()
  #sessionId = 0
  #epoch = 0
  #since = 0

  constructor(byId: boolean) {
    this.#byId = byId
  }

  get members(): ReadonlySet<Assigned> {
    return this.#members
  }

  add(assigned: Assigned): void {
    this.#members.add(assigned)
    this.#changed.add(assigned)
    if (!this.#byId && assigned.epochs.last >= 0) this.unchecked.add(assigned)
  }

  remove(assigned: Assigned): void {
    if (!this.#members.delete(assigned)) return
    this.#changed.delete(assigned)
    this.unchecked.delete(assigned)
    this.#removed.push(assigned)
  }

  /** The offset of a partition has moved on. */
  moved(assigned: Assigned): void {
    if (this.#members.has(assigned)) this.#changed.add(assigned)
  }

  /** What the next request says. */
  change(now: number): Change {
    if (this.#epoch > 0 && now - this.#since > RENEW_MS) this.reset()
    const isWhole = this.#epoch === 0
    if (isWhole) {
      this.#sent.clear()
      this.#since = now
    }
    const forgotten = this.#removed.filter((each) => this.#sent.get(this.#key(each)) === each)
    for (const each of forgotten) this.#sent.delete(this.#key(each))
    const positions = [...(isWhole ? this.#members : this.#changed)]
    for (const each of positions) this.#sent.set(this.#key(each), each)
    const kept = forgotten.filter((each) => !this.#sent.has(this.#key(each)))
    this.#removed = []
    this.#changed.clear()
    return { sessionId: this.#sessionId, sessionEpoch: this.#epoch, positions, forgotten: kept }
  }

  /** Takes note of an answer. False where the session is lost and all positions have to be sent again. */
  answered({ errorCode, sessionId }: FetchAnswer): boolean {
    if (SESSION_LOST.has(errorCode)) {
      this.reset()
      return false
    }
    // A broker that opens no session says 0: then each request is whole.
    this.#sessionId = sessionId
    this.#epoch = sessionId === 0 ? 0 : Math.max(1, (this.#epoch + 1) % 2 ** 31)
    return true
  }

  /** What an answer is about. */
  find(topic: string, partition: number): Assigned | undefined {
    return this.#sent.get(partitionKey({ topic, partition }))
  }

  /** The next request opens a session with all positions, in the place of this one. */
  reset(): void {
    this.#sessionId = 0
    this.#epoch = 0
  }

  #key({ topic, topicId, partition }: Assigned): string {
    return `${this.#byId ? topicId : topic}:${partition}`
  }
}
