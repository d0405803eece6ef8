import { AsyncLocalStorage } from 'node:async_hooks'

/** Where the time of a world begins, milliseconds since the Unix epoch. */
export const WORLD_BEGIN_MS = 1_700_000_000_000

/** One simulated process, as far as time is concerned: what belongs to it happens only while it runs. */
export class Host {
  readonly name: string
  state: 'running' | 'frozen' | 'dead' = 'running'
  /** When it stood still last. */
  frozenAt = -1
  /** How far its wall clock is from the true time. */
  skewMs = 0
  /** What was due while it stood still, in order. */
  readonly held: Entry[] = []

  constructor(name: string) {
    this.name = name
  }
}

interface Entry {
  at: number
  seq: number
  /** Whose it is; undefined for the world around the processes: the broker, the network, the exchange. */
  readonly host: Host | undefined
  run: (() => void) | undefined
}

/** Something that is to happen later, and may be called off. */
export interface Appointment {
  cancel(): void
}

const realTurn = globalThis.setImmediate
const hosts = new AsyncLocalStorage<Host | undefined>()

/** The process whose code is running; undefined in the world around. */
export function currentHost(): Host | undefined {
  return hosts.getStore()
}

/** Runs code as a process's, or as the world's. What it starts belongs there as well. */
export function runAs<T>(host: Host | undefined, work: () => T): T {
  return hosts.run(host, work)
}

/**
 * The time of a world. It stands still while anything runs, and then jumps to what comes next; what is due at one moment happens
 * in the order in which it was asked for.
 */
export class VirtualClock {
  #now = WORLD_BEGIN_MS
  #seq = 0
  readonly #heap: Entry[] = []

  /** True time, milliseconds since the Unix epoch, with fractions. */
  get now(): number {
    return this.#now
  }

  /** How many appointments stand, of a process where one is given. */
  pending(host?: Host): number {
    const open = this.#heap.filter(({ run }) => run !== undefined)
    return host === undefined ? open.length : open.filter((entry) => entry.host === host).length
  }

  /** Runs something of a process later: held while it is frozen, never when it is dead. */
  after(host: Host | undefined, ms: number, run: () => void): Appointment {
    const entry: Entry = { at: this.#now + Math.max(0, ms), seq: this.#seq++, host, run }
    this.#push(entry)
    return {
      cancel() {
        entry.run = undefined
      },
    }
  }

  /** Resolves later, in the world around. */
  pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(undefined, ms, resolve))
  }

  /** What was due in the meantime happens now. */
  thaw(host: Host): void {
    if (host.state !== 'frozen') return
    host.state = 'running'
    for (const entry of host.held.splice(0)) {
      entry.at = this.#now
      entry.seq = this.#seq++
      this.#push(entry)
    }
  }

  /** Lets time pass until a promise settles; every step ends when all that it started has come to rest. */
  async runUntil<T>(settled: Promise<T>): Promise<T> {
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    settled.then(over, over)
    await turn()
    while (!isOver) {
      const entry = this.#pop()
      if (entry === undefined)
        throw new Error('nothing is due any more: the world would stand still for ever')
      this.#now = Math.max(this.#now, entry.at)
      if (steps) Atomics.add(steps, 0, 1)
      this.#happen(entry)
      await turn()
    }
    return settled
  }

  #happen(entry: Entry): void {
    const { host, run } = entry
    if (run === undefined || host?.state === 'dead') return
    if (host?.state === 'frozen') {
      host.held.push(entry)
      return
    }
    entry.run = undefined
    if (hosts.getStore() === host) run()
    else hosts.run(host, run)
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(entry, heap[parent] as Entry)) break
      heap[at] = heap[parent] as Entry
      at = parent
    }
    heap[at] = entry
  }

  /** The next one that was not called off. */
  #pop(): Entry | undefined {
    const heap = this.#heap
    for (;;) {
      const first = heap[0]
      const last = heap.pop()
      if (first === undefined || last === undefined) return undefined
      if (last !== first) this.#sink(last)
      if (first.run !== undefined) return first
    }
  }

  #sink(entry: Entry): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child++
      if (!isBefore(heap[child] as Entry, entry)) break
      heap[at] = heap[child] as Entry
      at = child
    }
    heap[at] = entry
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq)
}

let steps: Int32Array | undefined

/** Counts the steps of all worlds of this thread where another thread sees them. */
export function countSteps(shared: Int32Array): void {
  steps = shared
}

/** Resolves when all promises that can settle have: a real turn of the event loop, since nothing here waits for anything real. */
function turn(): Promise<void> {
  return new Promise((resolve) => realTurn(resolve))
}
