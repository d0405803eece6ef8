import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for.
 *
 * `truncation`: of 285 worlds with it three break a promise. 100 from seed 730000 and 71 from 740000 hold; of 13 to 112 three do not:
 * - Seed 50: two applications have not got the last records of streams that have moved.
 * - Seed 101: the broker is away for 73 s, and meanwhile the logs lose their ends. What the source sent then of a market is in no row, and no gap says so: it
 *   seems that its only trades lay in the lost end, so that no owner knows any more that the market was read before.
 * - Seed 102: an application is told that others have come in the place of what it read, one `reset` too early: the topic that a stream joins holds a
 *   position in front of the lease's beginning that lies behind the seam, since the seam was taken when the log had lost it.
 * What no world has shown: trades, then quotes, then trades, while the log of trades loses its end during the quotes.
 *
 * `shortening`: 60 worlds in which no stream was moved hold. Of 51 with moved streams, five break the promise to an application (seeds 116, 123, 142,
 * 150 and 151 of an earlier state, with this fault and `truncation`). In 116 the application moves its stream after it was told `reset`, and what it
 * then has of the next topic is not what is expected. Worlds expected too much behind a reset and behind a seam then; nobody has looked since.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['truncation', 'shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
