import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for. `expiry`: where a dynamic topic has lost what
 * came after its owner's last checkpoint, as in an outage of all for longer than it keeps records, the next owner derives that second
 * again, and whoever resumes by cursor may get it twice. `truncation`: not tried with enough seeds yet. `shortening`: what a topic of a stream
 * loses with its end is not derived again, and who had not read as far is not told.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['expiry', 'truncation', 'shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
