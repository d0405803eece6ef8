import type { PlatformNames } from '../../control/names.ts'
import type { StoredChannel } from '../../domain/rows.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log, Meter } from '../../ports/log.ts'
import type { Store } from '../../ports/store.ts'
import type { Tracer } from '../../ports/trace.ts'

/** What the fixed consumer's services are made of. */
export interface ConsumerFixedParts {
  readonly broker: Broker
  readonly names: PlatformNames
  readonly store: Store
  /** The topics that have a table, by what is in them. */
  readonly topics: Readonly<Partial<Record<StoredChannel, string>>>
  /** So many levels of each side of a book are stored; left out where books are not among the topics. */
  readonly bookLevels?: number
  /** The most records of one batch. Under load batches grow to so many. */
  readonly maxRecords: number
  /** How long a small batch gathers more, in milliseconds: a transaction costs the same for one row as for hundreds. */
  readonly lingerMs: number
  /** Microseconds since the epoch. */
  readonly nowMicros: () => number
  /**
   * Does what needs the broker, and raises its outage where there is one. Meanwhile writes to the database go on under the claims that are held.
   */
  readonly duringBroker: <T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>) => Promise<T>
  /** With `forMs` it ends when it was not raised again for so long. */
  readonly raiseAlert: (id: string, code: string, message: string, forMs?: number) => void
  readonly log: Log
  readonly meter: Meter
  /** Undefined where nothing is traced. */
  readonly tracer?: Tracer | undefined
}
