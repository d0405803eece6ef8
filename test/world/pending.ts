import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for. Why stands here, with a seed.
 *
 * `shortening`: of 78 worlds from seed 950000 on (`--all`) two break. 950058: a dynamic topic lacks the first records of the log after a loss, with
 * the next one marked `maybe`. 950073: an application misses what came in the first seconds after a seam. Of some 430 others it was one, 59, which
 * holds since the producer's wait is longer: the topic of a stream of quotes lost its end twice, and retention removed fixed records in between.
 * What was in front of these was neither in the topic any more, nor was a hole told of it.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
