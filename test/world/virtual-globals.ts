import { createRequire, syncBuiltinESMExports } from 'node:module'
import { type Appointment, currentHost, type Host, type VirtualClock, WORLD_BEGIN_MS } from './clock.ts'

/** The longest delay that a timer of Node takes: a longer one fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** What `node:timers/promises` exports: an object, so that it can be changed for all who import from it. */
const promises = createRequire(import.meta.url)('node:timers/promises') as Record<string, unknown>

/**
 * Puts a virtual clock, and numbers that follow from a seed, in the place of timers, `Date`, `performance` and `Math.random` for all code
 * of this thread. Each simulated process has its own timers and its own wall clock. Returns what brings the real ones back.
 */
export function installVirtualGlobals(clock: VirtualClock, random: () => number): () => void {
  const undo: (() => void)[] = []
  const replace = (owner: object, name: string, value: unknown): void => {
    const former = Object.getOwnPropertyDescriptor(owner, name)
    Object.defineProperty(owner, name, { value, configurable: true, writable: true })
    undo.push(() => {
      if (former) Object.defineProperty(owner, name, former)
      else Reflect.deleteProperty(owner, name)
    })
  }
  const wallMs = (): number => Math.floor(clock.now + (currentHost()?.skewMs ?? 0))

  const clear = (timer: unknown): void => {
    if (timer instanceof VirtualTimer) timer.close()
  }
  const start =
    (isRepeating: boolean) =>
    (run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]): VirtualTimer =>
      new VirtualTimer(clock, currentHost(), () => run(...args), timerMs(ms), isRepeating)
  replace(globalThis, 'setTimeout', start(false))
  replace(globalThis, 'setInterval', start(true))
  replace(
    globalThis,
    'setImmediate',
    (run: (...args: unknown[]) => void, ...args: unknown[]) =>
      new VirtualTimer(clock, currentHost(), () => run(...args), 0, false),
  )
  for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) replace(globalThis, name, clear)

  const wait = (ms: number | undefined, value: unknown, options: { signal?: AbortSignal } = {}) =>
    waitFor(clock, ms, value, options.signal)
  replace(promises, 'setTimeout', (ms?: number, value?: unknown, options?: { signal?: AbortSignal }) =>
    wait(timerMs(ms), value, options),
  )
  replace(promises, 'setImmediate', (value?: unknown, options?: { signal?: AbortSignal }) =>
    wait(0, value, options),
  )
  syncBuiltinESMExports()

  const RealDate = globalThis.Date
  class VirtualDate extends RealDate {
    constructor(...given: [] | [value: number | string | Date]) {
      super(...((given.length === 0 ? [wallMs()] : given) as [number]))
    }

    static override now(): number {
      return wallMs()
    }
  }
  replace(globalThis, 'Date', VirtualDate)
  replace(performance, 'now', () => clock.now - WORLD_BEGIN_MS)
  Object.defineProperty(performance, 'timeOrigin', {
    configurable: true,
    get: () => WORLD_BEGIN_MS + (currentHost()?.skewMs ?? 0),
  })
  undo.push(() => Reflect.deleteProperty(performance, 'timeOrigin'))
  replace(Math, 'random', random)
  replace(AbortSignal, 'timeout', (ms: number) => {
    const controller = new AbortController()
    const reason = new DOMException('The operation was aborted due to timeout', 'TimeoutError')
    clock.after(currentHost(), ms, () => controller.abort(reason))
    return controller.signal
  })

  return () => {
    for (const back of undo.reverse()) back()
    syncBuiltinESMExports()
  }
}

/** What Node makes of the delay of a timer. */
function timerMs(ms: number | undefined): number {
  return ms !== undefined && ms >= 1 && ms <= MAX_TIMER_MS ? Math.trunc(ms) : 1
}

function waitFor<T>(
  clock: VirtualClock,
  ms: number | undefined,
  value: T,
  signal: AbortSignal | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      appointment.cancel()
      reject(new DOMException('The operation was aborted', { name: 'AbortError', cause: signal?.reason }))
    }
    const appointment = clock.after(currentHost(), ms ?? 1, () => {
      signal?.removeEventListener('abort', abort)
      resolve(value)
    })
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}

/** What `setTimeout` and its like return. */
class VirtualTimer {
  readonly #clock: VirtualClock
  readonly #host: Host | undefined
  readonly #run: () => void
  readonly #ms: number
  readonly #isRepeating: boolean
  #appointment: Appointment

  constructor(
    clock: VirtualClock,
    host: Host | undefined,
    run: () => void,
    ms: number,
    isRepeating: boolean,
  ) {
    this.#clock = clock
    this.#host = host
    this.#run = run
    this.#ms = ms
    this.#isRepeating = isRepeating
    this.#appointment = this.#arm()
  }

  #arm(): Appointment {
    return this.#clock.after(this.#host, this.#ms, () => {
      if (this.#isRepeating) this.#appointment = this.#arm()
      this.#run()
    })
  }

  close(): this {
    this.#appointment.cancel()
    return this
  }

  refresh(): this {
    this.#appointment.cancel()
    this.#appointment = this.#arm()
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return true
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
