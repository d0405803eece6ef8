import { isAbort, toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'

/** Work that is tried again and again, several times a second, for as long as a server is away. */
export interface Interruption {
  /** It has failed. An abort is no failure. */
  begin(error: unknown): void
  /** It works. */
  end(): void
}

/** What the log says of such work: one line when it fails the first time, with the code, and one when it works again, with how long that took. */
export function logInterruption(
  log: Log,
  { began, ended }: { readonly began: string; readonly ended: string },
  fields: Readonly<Record<string, unknown>> = {},
): Interruption {
  let first: { readonly code: string; readonly at: number } | undefined
  return {
    begin(error) {
      if (first !== undefined || isAbort(error)) return
      const { code, message: reason } = toTapelineError(error)
      first = { code, at: performance.now() }
      log.warn({ ...fields, code, reason }, began)
    },
    end() {
      if (first === undefined) return
      const { code, at } = first
      first = undefined
      log.warn({ ...fields, code, forMs: Math.round(performance.now() - at) }, ended)
    },
  }
}
