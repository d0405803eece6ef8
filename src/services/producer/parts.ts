import type { ControlBus } from '../../control/bus.ts'
import type { PlatformNames } from '../../control/names.ts'
import type { Registry } from '../../control/registry.ts'
import type { Channel } from '../../domain/events.ts'
import type { StreamRequest } from '../../domain/stream-spec.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log, Meter } from '../../ports/log.ts'
import type { Market, Source } from '../../ports/source.ts'
import type { Tracer } from '../../ports/trace.ts'

/** What the producer's services are made of. */
export interface ProducerParts {
  readonly source: Source
  /** The markets to ask the source for, as far as this process owns their shards; empty where the source itself knows what it gives. */
  readonly markets: readonly Market[]
  readonly broker: Broker
  readonly names: PlatformNames
  readonly registry: Registry
  readonly bus: ControlBus
  readonly instance: string
  /** The fixed topic of each channel. */
  readonly topics: Readonly<Record<Channel, string>>
  readonly partitions: number
  /** Streams that the configuration asks for, by name (which is the lease's id). */
  readonly standing: ReadonlyMap<string, StreamRequest>
  /** How long a fetch gathers once something has arrived, in milliseconds. */
  readonly lingerMs: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly newId: () => string
  readonly alerts: {
    raise(id: string, code: string, message: string, forMs?: number): void
    clear(id: string): void
  }
  readonly log: Log
  readonly meter: Meter
  /** Undefined where nothing is traced. */
  readonly tracer?: Tracer | undefined
}
