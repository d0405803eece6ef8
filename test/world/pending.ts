import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for. Why stands here, with a seed.
 *
 * `shortening`: of 282 worlds from seed 981000 on (`--all`) four broke (981069, 981102, 981194, 981220), and of 78 from 950000 on two (950058, 950073). What broke these
 * is mended; it becomes one of the default faults once 300 new ones hold. Of 91 from 990000 on one broke: 990002, where a stream of quotes lacks records.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
