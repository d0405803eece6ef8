import { claimOwnership, type Ownership } from '../../control/claim.ts'
import type { PlatformNames } from '../../control/names.ts'
import { refuseShared } from '../../control/prefixes.ts'
import { CONTROL_VERSION } from '../../control/record-format.ts'
import type { Registry } from '../../control/registry.ts'
import {
  type KeyRecord,
  type LeaseRecord,
  type RegistryRecord,
  registryEntry,
  registryTombstone,
  type StreamRecord,
  type WebhookRecord,
} from '../../control/registry-records.ts'
import { isAbort, TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import { type Claiming, Holding } from '../holding/holding.ts'

type Body<R> = R extends RegistryRecord ? Omit<R, 'v' | 'instance' | 'epoch'> : never

/** What the leader writes to the registry, without what every record carries. */
export type RegistryBody =
  | Body<StreamRecord>
  | Body<LeaseRecord>
  | Body<WebhookRecord>
  | Body<KeyRecord>
  | Omit<Body<RegistryRecord & { kind: 'leader' }>, 'prefix' | 'dynamicPrefix'>

/** The leadership among coordinators: the holder of the registry's one partition is its one writer (R7, R8, R9). */
export interface Leader {
  /** Whether this process leads at present. */
  readonly leading: boolean
  /** Rises each time this process begins to lead. */
  readonly term: number
  readonly epoch: number
  /** Joins the coordinators. */
  join(signal: AbortSignal): Promise<void>
  /**
   * Takes the leadership over if the group gives it to this process and it is not held yet, and reads the registry to its end. Gives whether
   * this process leads. Raises FENCED where another process has just taken the leadership over, UPGRADE_NEEDED where this one does not
   * understand the registry (R23), PREFIX_TAKEN where it is that of another platform.
   */
  lead(signal: AbortSignal): Promise<boolean>
  /**
   * Writes records and tombstones in one transaction. Resolves with the registry's offset after them, when this process's view has them. A
   * failure ends this leadership; FENCED says that another process leads now.
   */
  write(
    records: readonly RegistryBody[],
    removed: readonly RegistryRecord[],
    signal: AbortSignal,
  ): Promise<number>
  /** Leads no longer, and leaves the coordinators. */
  leave(): Promise<void>
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
  const { prefix, dynamicPrefix } = names
  /** The registry has one partition. */
  const office = 0
  let term = 0

  const close = ({ writer }: Ownership): void => {
    writer.close().catch((error: unknown) => {
      log.debug({ code: toTapelineError(error).code }, 'the writer of the registry did not close')
    })
  }

  const holding = new Holding<number, Ownership>({
    ...{ broker, group: names.groups.coordinators, topics: [names.registry], now },
    keyOf: ({ partition }) => partition,
    remember: () => undefined,
    release: close,
  })

  const held = (): Ownership => {
    const ownership = holding.held.get(office)
    if (ownership === undefined) throw new TapelineError('FENCED', 'this process does not lead')
    return ownership
  }

  const write: Leader['write'] = async (records, removed, signal) => {
    const { writer, epoch } = held()
    const entries = [
      ...records.map((body) =>
        registryEntry({
          ...body,
          ...(body.kind === 'leader' && { prefix, dynamicPrefix }),
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
      const { code } = toTapelineError(error)
      if (code === 'FENCED') holding.yield(office)
      // Nobody knows what was written: a new claim settles it.
      else holding.doubt(office)
      if (!isAbort(error)) log.warn({ code }, 'the registry was not written; leading again')
      throw error
    }
  }

  const takeOver = async ({ signal, succeed }: Claiming<number, Ownership>): Promise<void> => {
    const claimed = await claimOwnership(broker, names, names.leaderId, instance, now(), signal)
    try {
      await registry.reached(claimed.epoch + 1, signal)
      // A platform that began at the same moment under the same control topics may have told its own by now.
      refuseShared(names, registry.view.prefixes)
    } catch (error) {
      close(claimed)
      throw error
    }
    if (!succeed(office, claimed)) {
      close(claimed)
      return
    }
    term++
    const { prefixes: told, controlOffset } = registry.view
    if (told.prefix === undefined || told.dynamicPrefix === undefined)
      await write([{ kind: 'leader', controlOffset }], [], signal)
    log.info({ epoch: claimed.epoch }, 'leading the coordinators')
  }

  return {
    get leading() {
      return holding.held.has(office)
    },
    get term() {
      return term
    },
    get epoch() {
      return held().epoch
    },
    join: (signal) => holding.join(signal),
    async lead(signal) {
      const [unreadable] = registry.view.unreadable.values()
      if (unreadable !== undefined) {
        // The leadership goes to processes that understand all that the registry holds (R23).
        await holding.leave()
        throw new TapelineError('UPGRADE_NEEDED', `this process must not lead: ${unreadable.reason}`)
      }
      try {
        refuseShared(names, registry.view.prefixes)
      } catch (error) {
        await holding.leave()
        throw error
      }
      await holding.join(signal)
      await holding.claim(signal, takeOver)
      return holding.held.has(office)
    },
    write,
    leave: () => holding.leave(),
  }
}
