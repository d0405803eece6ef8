import { orAfter } from '../../../async/deadline.ts'
import { TapelineError, toTapelineError } from '../../../errors.ts'
import { type Address, parseAddresses } from './address.ts'

/** What another host may do better: this one is away, stands by, or has no address. What a person must cure is the same on all. */
const NEXT = ['STORE_UNAVAILABLE', 'STORE_HOST_UNKNOWN', 'TIMEOUT']
/** How long all hosts together may take, as one attempt to start does. */
const ALL_MS = 7_500

/**
 * The hosts of one address: connections go to the first that takes them, beginning with the one that did the last time. So they
 * follow the primary when it moves.
 */
export class HostList {
  readonly #addresses: readonly Address[]
  #preferred = 0

  /** Raises CONFIG_INVALID. */
  constructor(url: string) {
    this.#addresses = parseAddresses(url)
  }

  /** Raises what the only host does; of several, what the one does that answered, else the first. */
  async open<T>(
    connect: (address: Address, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const count = this.#addresses.length
    const errors: TapelineError[] = []
    for (let i = 0; i < count; i++) {
      const at = (this.#preferred + i) % count
      const address = this.#addresses[at]
      if (address === undefined) break
      const stop = count === 1 ? signal : orAfter(signal, ALL_MS / count)
      try {
        const opened = await connect(address, stop)
        this.#preferred = at
        return opened
      } catch (thrown) {
        signal.throwIfAborted()
        if (count === 1) throw thrown
        const error = toTapelineError(thrown, 'STORE_UNAVAILABLE')
        if (!NEXT.includes(error.code)) throw error
        errors.push(error)
      }
    }
    const [first] = errors
    throw new TapelineError(
      first?.code === 'STORE_HOST_UNKNOWN' && errors.every(({ code }) => code === first.code)
        ? first.code
        : 'STORE_UNAVAILABLE',
      errors.map(({ message }) => message).join(' '),
      { cause: first },
    )
  }
}
