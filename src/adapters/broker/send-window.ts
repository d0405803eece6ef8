import { onAbort } from '../../async/abort.ts'
import { abortReason } from './abort-reason.ts'

/** So many bytes may be on their way to the log and not yet acknowledged. */
const MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024

/**
 * Bounds what is on its way to the log. At the bound further senders wait, first come first served; one send that is
 * larger than the bound goes alone.
 */
export class SendWindow {
  #bytes = 0
  readonly #waiting: { readonly bytes: number; readonly admit: () => void }[] = []

  /** When `bytes` may be sent: at once, or when the promise resolves. It rejects with the abort. Whoever enters leaves. */
  enter(bytes: number, signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) throw abortReason(signal)
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#bytes += bytes
      return undefined
    }
    return new Promise((resolve, reject) => {
      const admit = () => {
        off()
        resolve()
      }
      const sender = { bytes, admit }
      this.#waiting.push(sender)
      const off = onAbort(signal, () => {
        this.#waiting.splice(this.#waiting.indexOf(sender), 1)
        reject(abortReason(signal))
        this.#admit()
      })
    })
  }

  leave(bytes: number): void {
    this.#bytes -= bytes
    this.#admit()
  }

  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= MAX_BYTES_IN_FLIGHT
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#bytes += next.bytes
      next.admit()
    }
  }
}
