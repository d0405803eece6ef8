import type { PlatformNames } from '../../control/names.ts'
import type { Registry } from '../../control/registry.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker, GroupMember } from '../../ports/broker.ts'
import { Assignment } from '../assignment.ts'
import type { Leader } from './leader.ts'

/** This process among the coordinators: it leads while the group gives it the registry's one partition (R7). */
export interface Candidacy {
  /**
   * Leads, where the group gives it to this process, taking over where it does not lead yet; resigns where the group does not.
   * Gives whether it leads.
   */
  lead(signal: AbortSignal): Promise<boolean>
  /** Does what only the leader may do. FENCED says that another process leads: this one waits for the group. */
  asLeader<T>(work: () => Promise<T>): Promise<T>
  leave(): Promise<void>
}

interface CandidacyParts {
  readonly broker: Broker
  readonly names: PlatformNames
  readonly leader: Leader
  readonly registry: Pick<Registry, 'view'>
  /** Milliseconds. */
  readonly now: () => number
}

export async function joinCoordinators(
  { broker, names, leader, registry, now }: CandidacyParts,
  signal: AbortSignal,
): Promise<Candidacy> {
  const office = { topic: names.registry, partition: 0 } as const
  const assignment = new Assignment(now)
  /** The generation of the assignment in which it took the leadership. */
  let ledIn = -1
  const join = (stop: AbortSignal): Promise<GroupMember> =>
    broker.joinGroup(
      {
        group: names.groups.coordinators,
        topics: [names.registry],
        onAssignment: async (partitions) => {
          if (assignment.set(partitions).length > 0) leader.resign()
        },
      },
      stop,
    )
  let member: GroupMember | undefined = await join(signal)

  /** Leaves the office to processes that understand all that the registry holds (R23). */
  const stepBack = async (): Promise<void> => {
    leader.resign()
    const former = member
    member = undefined
    assignment.set([])
    await former?.leave()
  }

  const asLeader = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (toTapelineError(error).code === 'FENCED') assignment.yield(office, ledIn)
      throw error
    }
  }

  return {
    async lead(stop) {
      const [unreadable] = registry.view.unreadable.values()
      if (unreadable !== undefined) {
        await stepBack()
        throw new TapelineError('UPGRADE_NEEDED', `this process must not lead: ${unreadable.reason}`)
      }
      member ??= await join(stop)
      if (!assignment.has(office.topic, office.partition)) {
        leader.resign()
        return false
      }
      if (!leader.leading) ledIn = assignment.generation
      await asLeader(() => leader.lead(stop))
      return leader.leading
    },
    asLeader,
    async leave() {
      leader.resign()
      await member?.leave()
    },
  }
}
