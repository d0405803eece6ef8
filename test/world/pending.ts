import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for. Why stands here, with a seed.
 *
 * `shortening`: of some 430 worlds in which it may come one still breaks: 59. The topic of a stream of quotes loses its end twice, and retention removes
 * fixed records in between. What was in front of these (offsets 3 and 4 of shard 0) is neither in the topic any more, nor is a hole told of it.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
