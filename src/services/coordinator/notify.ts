import { withDeadline } from '../../async/deadline.ts'
import { CONTROL_VERSION } from '../../control/record-format.ts'
import type { CoordinatorParts } from './requests.ts'

const ACKNOWLEDGE_WAIT_MS = 200

/**
 * Sends NOTIFY_PRODUCER and NOTIFY_CONSUMER, then waits 200 ms at most for live producers and gateways to acknowledge. The log names those
 * that do not; that is no failure, since everyone follows the registry (R10).
 */
export async function tellActors(
  { registry, bus, membership, leader, instance, newId, log }: CoordinatorParts,
  change: 'ready' | 'ended',
  streamIds: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const notificationId = newId()
  const notification = {
    v: CONTROL_VERSION,
    instance,
    notificationId,
    epoch: leader.epoch,
    registryOffset: registry.view.nextOffset,
    ready: change === 'ready' ? [...streamIds] : [],
    ended: change === 'ended' ? [...streamIds] : [],
  } as const
  const outstanding = new Set(
    membership
      .live()
      .flatMap(({ instance: name, roles }) =>
        roles.filter((role) => role === 'producer' || role === 'gateway').map((role) => `${name}/${role}`),
      ),
  )
  // It listens before it sends, so that no acknowledgement is missed.
  const acknowledged =
    outstanding.size === 0
      ? undefined
      : withDeadline(signal, ACKNOWLEDGE_WAIT_MS, (deadline) =>
          bus.first(
            'ACKNOWLEDGE',
            (record) => {
              if (record.notificationId === notificationId)
                outstanding.delete(`${record.instance}/${record.role}`)
              return outstanding.size === 0
            },
            deadline,
          ),
        ).catch(() => undefined)
  const kinds = ['NOTIFY_PRODUCER', 'NOTIFY_CONSUMER'] as const
  await bus.send(
    kinds.map((kind) => ({ ...notification, kind })),
    signal,
  )
  await acknowledged
  if (outstanding.size > 0 && !signal.aborted) {
    log.debug({ missing: [...outstanding] }, 'a notification was not acknowledged; the registry will tell')
  }
}
