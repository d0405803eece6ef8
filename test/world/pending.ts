import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/** Faults that the platform cannot bear yet; they are left out where they are not asked for. Why stands here, with a seed. */
export const PENDING_FAULTS: readonly FaultName[] = []
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
