import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for. Why stands here, with a seed.
 *
 * `shortening`: of 860 worlds from seed 8200000 on (`--all`) five broke: 8200155, 8200504, 8200642, 8200685, 8200839. In 8200642 a topic lost all that it had, and what was
 * older than a minute at the checkpoint does not come again behind the `reset`; the others were not looked into. What broke before is mended. It becomes one of
 * the default faults once 300 new ones hold.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
