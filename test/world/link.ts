import { TapelineError } from '../../src/errors.ts'
import type { Random } from '../../src/simulator/random.ts'
import { type Host, runAs, type VirtualClock } from './clock.ts'
import type { Trace } from './trace.ts'
import type { Fate, Service, Weather } from './weather.ts'

/** How long a client tries before it says that the service does not answer. */
const PATIENCE_MS = 5_000
/** How much later than its failure a write may take effect. */
const LATE_MS = 8_000

export interface Surroundings {
  readonly clock: VirtualClock
  readonly weather: Weather
  readonly random: Random
  readonly trace: Trace
}

interface CallOptions {
  /** What is written, by name: a later write to the same comes after it. Reads have none. */
  readonly writes?: readonly string[]
  /** A write that may take effect after its failure, whatever comes in between. */
  readonly mayBeLate?: true
  /** Why the service refuses the call at this moment, before it has an effect. */
  readonly refusal?: () => TapelineError | undefined
}

interface LateWrite {
  readonly targets: readonly string[]
  readonly apply: () => void
}

/**
 * The connection of one process to one service. A call travels, has its effect in the world around, and its answer travels back; either
 * may be lost, and what was sent has its effect even if the process is dead by then.
 */
export class Link {
  readonly #around: Surroundings
  readonly host: Host
  readonly #service: Service
  readonly #late: LateWrite[] = []
  /** Writes go one after another. */
  #lane: Promise<unknown> = Promise.resolve()

  constructor(around: Surroundings, host: Host, service: Service) {
    this.#around = around
    this.host = host
    this.#service = service
  }

  /** Calls a service. Rejects with the signal's reason at once when it aborts; the effect may come all the same. */
  call<T>(
    name: string,
    effect: () => Promise<T>,
    signal: AbortSignal | undefined,
    options: CallOptions = {},
  ): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (options.writes === undefined) return this.#travel(name, effect, signal, options)
    const before = this.#lane
    const call = before.then(() => {
      signal?.throwIfAborted()
      return this.#travel(name, effect, signal, options)
    })
    this.#lane = call.catch(() => undefined)
    return call
  }

  #travel<T>(
    name: string,
    effect: () => Promise<T>,
    signal: AbortSignal | undefined,
    { writes, mayBeLate, refusal }: CallOptions,
  ): Promise<T> {
    const { clock, weather, trace } = this.#around
    const { host } = this
    return new Promise<T>((resolve, reject) => {
      let isSettled = false
      const settle = (how: () => void): void => {
        if (isSettled) return
        isSettled = true
        signal?.removeEventListener('abort', onAbort)
        how()
      }
      const onAbort = (): void => settle(() => reject(signal?.reason))
      const answer = (how: () => void): void => {
        clock.after(host, weather.transitMs(host), () => settle(how))
      }
      const fail = (why: string): void => {
        trace.add(host.name, `${name} failed: ${why}`)
        answer(() => reject(this.unavailable(why)))
      }
      /** The effect, and then the answer if there is to be one. */
      const apply = (isAnswered: boolean): void => {
        this.#applyLate(writes)
        const refused = refusal?.()
        const done = refused ? Promise.reject(refused) : runAs(undefined, effect)
        done.then(
          (value) => isAnswered && answer(() => resolve(value)),
          (error: unknown) => isAnswered && answer(() => reject(error)),
        )
      }
      const arrive = (fate: Fate): void => {
        const mode = weather.away(host, this.#service)
        if (mode === 'refuse') fail('refused')
        else if (mode === 'hang')
          clock.after(undefined, PATIENCE_MS * (0.5 + this.#around.random()), () => fail('no answer'))
        else if (fate === 'lost-request') fail('the request was lost')
        else if (fate === 'late') {
          this.#applyLater(writes ?? [], () => apply(false))
          fail('the answer was lost, and the effect is late')
        } else {
          if (fate === 'lost-answer') fail('the answer was lost')
          apply(fate !== 'lost-answer')
        }
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      const fate = weather.fate(host, writes !== undefined || mayBeLate === true)
      clock.after(host, weather.transitMs(host), () => {
        trace.add(host.name, name)
        clock.after(undefined, weather.transitMs(host), () => arrive(fate))
      })
    })
  }

  unavailable(why: string): TapelineError {
    const code = this.#service === 'broker' ? 'BROKER_UNAVAILABLE' : 'STORE_UNAVAILABLE'
    return new TapelineError(code, `the ${this.#service}: ${why}`)
  }

  #applyLater(targets: readonly string[], apply: () => void): void {
    const late = { targets, apply }
    this.#late.push(late)
    this.#around.clock.after(undefined, this.#around.random() * LATE_MS, () => this.#takeEffect(late))
  }

  /** What was sent earlier to the same place comes first. */
  #applyLate(writes: readonly string[] | undefined): void {
    for (const late of [...this.#late])
      if (late.targets.some((target) => writes?.includes(target))) this.#takeEffect(late)
  }

  #takeEffect(late: LateWrite): void {
    const at = this.#late.indexOf(late)
    if (at < 0) return
    this.#late.splice(at, 1)
    late.apply()
  }
}
