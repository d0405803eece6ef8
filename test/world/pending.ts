import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for. Why stands here, with a seed.
 *
 * `shortening`: of about 350 worlds with it and `truncation` one still breaks, 910093, in which an application moves its stream between two
 * losses of the topic that it leaves and of the fixed one. What it then has of the next topic begins later than the world expects; nobody has found out yet
 * whether it misses these trades, or has had them in front of the `reset`.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
