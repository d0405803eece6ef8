import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for.
 *
 * `shortening`: 60 worlds in which no stream was moved hold. Of 51 with moved streams, five break the promise to an application (seeds 116, 123, 142,
 * 150 and 151 of an earlier state, with this fault and `truncation`). In 116 the application moves its stream after it was told `reset`, and what it
 * then has of the next topic is not what is expected. Worlds expected too much behind a reset and behind a seam then; nobody has looked since.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
