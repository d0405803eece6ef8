import type { ProducerParts } from './parts.ts'

const EVERY_MS = 60_000

/** Warns the first time, and from then on once a minute at most, with how many there were by then. */
export function createSampledWarning({ log, now }: Pick<ProducerParts, 'log' | 'now'>) {
  let count = 0
  let loggedAt = Number.NEGATIVE_INFINITY
  return (fieldsOf: (count: number) => object, text: string): void => {
    count++
    if (now() - loggedAt < EVERY_MS) return
    loggedAt = now()
    log.warn(fieldsOf(count), text)
  }
}
