import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet, or was not tried with long enough; they are left out where they are not asked for. `shortening`: where
 * an owner that does not know of the loss derives a stream again, live readers drop by its positions what they had before the loss, though told
 * `reset`.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['shortening', 'forgetting', 'decay', 'illegible']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
