import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet, or was not tried with long enough; they are left out where they are not asked for.
 *
 * `truncation`: since streams move and gather, about one world in six breaks a promise to an application, or of a dynamic topic (seeds 610015,
 * 610016, 610027, 610028 and 610029).
 *
 * `shortening`: 60 worlds in which no stream was moved hold. Of 51 with moved streams, five break the promise to an application (seeds 116, 123, 142,
 * 150 and 151, with this fault and `truncation`). In 116 the application moves its stream after it was told `reset`, and what it then has of the next
 * topic is not what is expected.
 *
 * `forgetting`, `decay`, `illegible`: some worlds of a hundred break promises (seeds 32, 81 and 99, with all faults); nobody has looked why.
 */
export const PENDING_FAULTS: readonly FaultName[] = [
  'truncation',
  'shortening',
  'forgetting',
  'decay',
  'illegible',
]
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
