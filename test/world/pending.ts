import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for. Why stands here, with a seed.
 *
 * `shortening`: of 600 worlds from seed 9300000 on (`--all`) one broke, 9300180, and what broke is mended, as is what broke before. It becomes one of the default faults once
 * 600 new ones hold.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
