import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for. Why stands here, with a seed.
 *
 * `shortening`: 600 worlds from seed 9301000 on held (`--all`), and of those from seed 1 to 200 one broke, 163, which was not looked into. It becomes one of the default faults once
 * that is mended and 600 new ones hold.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
