import { onAbort, withAbort } from '../async/abort.ts'
import { pause, startTimer } from '../async/timers.ts'
import { type ErrorCode, TapelineError, toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import type { Alerts } from './alerts.ts'

/** How long after an answer it is asked again. */
const EVERY_MS = 400
/** An answer that takes longer counts as none. */
const ANSWER_MS = 1_200
/** Without an answer for so long, to two questions at least, it is away. Its machines say so within 5 s. */
const AWAY_AFTER_MS = 2_500

/** Whether a server answers, as this process sees it. */
export interface OutageWatch {
  /** Why the server counts as away; undefined while it answers. */
  readonly outage: TapelineError | undefined
  /**
   * Does what needs the server. Raises the outage at once where there is one; when one begins meanwhile the work is aborted by its
   * signal, and not waited for: a call that nobody answers may never settle.
   */
  during<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Calls back with each outage when it begins, and with undefined when it is over, until the returned function is called. */
  listen(listener: (outage: TapelineError | undefined) => void): () => void
  close(): Promise<void>
}

interface WatchedServer {
  /** As people know it, such as `the broker`. */
  readonly name: string
  readonly code: ErrorCode
  /** Resolves when it answers. */
  readonly ping: (signal: AbortSignal) => Promise<void>
  readonly log: Log
}

/**
 * Asks a server again and again whether it is there. Calls of the data path hang when a server stands still, each for as long as it
 * may take when all is well; and who waits for data cannot tell an outage from a quiet market.
 */
export function watchForOutage({ name, code, ping, log }: WatchedServer): OutageWatch {
  const closing = new AbortController()
  const listeners = new Set<(outage: TapelineError | undefined) => void>()
  let outage: TapelineError | undefined
  /** Since when nothing was answered, and to how many questions. */
  let silence: { readonly since: number; questions: number } | undefined

  const tell = (): void => {
    for (const listener of [...listeners]) listener(outage)
  }

  const onAnswer = (): void => {
    const silentMs = silence && Math.round(performance.now() - silence.since)
    silence = undefined
    if (outage === undefined) return
    outage = undefined
    log.warn({ code, silentMs }, `${name} answers again`)
    tell()
  }

  const onSilence = (since: number, error: unknown): void => {
    silence ??= { since, questions: 0 }
    silence.questions++
    if (outage !== undefined || silence.questions < 2) return
    if (performance.now() - silence.since < AWAY_AFTER_MS) return
    outage = new TapelineError(code, `${name} does not answer`, { cause: error })
    log.warn({ code, reason: toTapelineError(error, code).message }, `${name} does not answer`)
    tell()
  }

  const ask = async (): Promise<void> => {
    const since = performance.now()
    const question = new AbortController()
    const isOver = Promise.withResolvers<void>()
    const timer = startTimer(isOver.resolve, ANSWER_MS)
    const off = onAbort(closing.signal, () => {
      question.abort(closing.signal.reason)
      isOver.resolve()
    })
    let isAnswered = false
    const answer = ping(question.signal).then(() => {
      isAnswered = true
    })
    try {
      await Promise.race([answer, isOver.promise])
      // Where this process itself stood still, the answer is there already and has only not been read.
      if (!isAnswered) await new Promise(setImmediate)
      if (!isAnswered) throw new TapelineError(code, `no answer within ${ANSWER_MS} ms`)
      onAnswer()
    } catch (error) {
      if (!closing.signal.aborted) onSilence(since, error)
    } finally {
      timer.stop()
      if (!isAnswered) question.abort()
      off()
    }
  }

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await ask()
      await pause(EVERY_MS, closing.signal)
    }
  }
  const running = run()

  const listen: OutageWatch['listen'] = (listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  return {
    get outage() {
      return outage
    },
    listen,
    async during(signal, work) {
      signal.throwIfAborted()
      if (outage !== undefined) throw outage
      return withAbort(signal, async (either) => {
        const away = Promise.withResolvers<never>()
        away.promise.catch(() => undefined)
        const unlisten = listen((begun) => {
          if (begun === undefined) return
          either.abort(begun)
          away.reject(begun)
        })
        try {
          return await Promise.race([work(either.signal), away.promise])
        } finally {
          unlisten()
        }
      })
    },
    async close() {
      closing.abort()
      await running
    },
  }
}

/** Raises an alert when an outage lasts for longer than `afterMs`, and clears it when it is over. Gives what ends that. */
export function alertOutages(
  watch: Pick<OutageWatch, 'listen'>,
  alerts: Pick<Alerts, 'raise' | 'clear'>,
  { id, afterMs }: { readonly id: string; readonly afterMs: number },
): () => void {
  let timer: ReturnType<typeof startTimer> | undefined
  const unlisten = watch.listen((outage) => {
    timer?.stop()
    timer = undefined
    if (outage === undefined) alerts.clear(id)
    else timer = startTimer(() => alerts.raise(id, outage.code, outage.message), afterMs).unref()
  })
  return () => {
    unlisten()
    timer?.stop()
    alerts.clear(id)
  }
}
