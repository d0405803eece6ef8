import type { FaultName } from './faults.ts'
import type { Promised } from './violations.ts'

/**
 * Faults that the platform cannot bear yet; they are left out where they are not asked for.
 *
 * `truncation`: about one world in fifty breaks a promise to an application whose stream has moved. The seam of a move, and the start of the lease behind
 * it, are offsets of a log that has lost its end since, and readers compare them with those that come a second time. Two of 84 worlds did so with all
 * faults but `shortening`:
 * - Seed 620047: one partition begins anew in the topic, so that its readers get a `reset`. Who reads live then forgets the starts of all partitions, and
 *   gets what comes in the place of the lost end of another one in front of its start, as it should. Who catches up remembers them, and does not get it.
 *   The owner would have to let a stream begin anew where it derives for it in front of a start.
 * - Seed 620009: the topic that a stream joins holds a position in front of the lease's beginning that lies behind the seam, since that was taken when the
 *   log had lost it. The reader is told that others have come in the place of what it read, one `reset` too early.
 * What no world has shown yet: an owner says that a stream has passed a seam before it has read what its topic holds of a lost end. Its readers leave
 * in front of the `reset`, and take the positions of the lost end into a topic of the same channel.
 *
 * `shortening`: 60 worlds in which no stream was moved hold. Of 51 with moved streams, five break the promise to an application (seeds 116, 123, 142,
 * 150 and 151 of an earlier state, with this fault and `truncation`). In 116 the application moves its stream after it was told `reset`, and what it
 * then has of the next topic is not what is expected. Worlds expected too much behind a reset and behind a seam then; nobody has looked since.
 */
export const PENDING_FAULTS: readonly FaultName[] = ['truncation', 'shortening']
/** Promises that it does not keep yet. */
export const PENDING_PROMISES: readonly Promised[] = []
