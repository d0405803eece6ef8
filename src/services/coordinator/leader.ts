import { claimOwnership, type Ownership } from '../../control/claim.ts'
import type { PlatformNames } from '../../control/names.ts'
import {
  CONTROL_VERSION,
  type LeaseRecord,
  type RegistryRecord,
  registryEntry,
  registryTombstone,
  type StreamRecord,
} from '../../control/records.ts'
import type { Registry } from '../../control/registry.ts'
import { isAbort, TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'

type Body<R> = R extends RegistryRecord ? Omit<R, 'v' | 'instance' | 'epoch'> : never

/** What the leader writes to the registry, without what every record carries. */
export type RegistryBody =
  | Body<StreamRecord>
  | Body<LeaseRecord>
  | Omit<Body<RegistryRecord & { kind: 'leader' }>, 'prefix'>

/** The leadership among coordinators: the one writer of the registry (R8, R9). */
export interface Leader {
  /** Whether this process leads at present. */
  readonly leading: boolean
  /** Rises each time this process begins to lead. */
  readonly term: number
  readonly epoch: number
  /** Takes the leadership over where it is not held, and reads the registry to its end. Raises FENCED where another did so just now. */
  lead(signal: AbortSignal): Promise<void>
  /** Leads no longer. */
  resign(): void
  /**
   * Writes records and tombstones in one transaction; resolves with the registry's offset behind them, when the view of this
   * process holds them. Raises FENCED where another process leads now, which ends this leadership.
   */
  write(
    records: readonly RegistryBody[],
    removed: readonly RegistryRecord[],
    signal: AbortSignal,
  ): Promise<number>
}

interface LeaderParts {
  readonly broker: Broker
  readonly names: PlatformNames
  readonly registry: Registry
  readonly instance: string
  readonly now: () => number
  readonly log: Log
}

export function createLeader({ broker, names, registry, instance, now, log }: LeaderParts): Leader {
  let ownership: Ownership | undefined
  let term = 0

  const held = (): Ownership => {
    if (ownership === undefined) throw new TapelineError('FENCED', 'this process does not lead')
    return ownership
  }

  const close = ({ writer }: Ownership): void => {
    writer.close().catch((error: unknown) => {
      log.debug({ code: toTapelineError(error).code }, 'the writer of the registry did not close')
    })
  }

  const resign = (): void => {
    if (ownership === undefined) return
    close(ownership)
    ownership = undefined
  }

  const write: Leader['write'] = async (records, removed, signal) => {
    const { writer, epoch } = held()
    const entries = [
      ...records.map((body) =>
        registryEntry({
          ...body,
          ...(body.kind === 'leader' && { prefix: names.prefix }),
          ...{ v: CONTROL_VERSION, instance, epoch },
        } as RegistryRecord),
      ),
      ...removed.map(registryTombstone),
    ]
    try {
      const [ack] = await writer.commit([{ topic: names.registry, partition: 0, records: entries }], signal)
      const end = (ack?.baseOffset ?? 0) + entries.length
      await registry.reached(end, signal)
      return end
    } catch (error) {
      // Whatever went wrong, what was written is unknown: claiming again settles it.
      resign()
      if (!isAbort(error))
        log.warn({ code: toTapelineError(error).code }, 'the registry was not written; leading again')
      throw error
    }
  }

  return {
    get leading() {
      return ownership !== undefined
    },
    get term() {
      return term
    },
    get epoch() {
      return held().epoch
    },
    async lead(signal) {
      if (ownership !== undefined) return
      const claimed = await claimOwnership(broker, names, names.leaderId, instance, now(), signal)
      try {
        await registry.reached(claimed.epoch + 1, signal)
      } catch (error) {
        close(claimed)
        throw error
      }
      ownership = claimed
      term++
      const { prefix, controlOffset } = registry.view
      if (prefix !== names.prefix) await write([{ kind: 'leader', controlOffset }], [], signal)
      log.info({ epoch: claimed.epoch }, 'leading the coordinators')
    },
    resign,
    write,
  }
}
