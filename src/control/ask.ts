import { withDeadline } from '../async/deadline.ts'
import { ERROR_KINDS, type ErrorCode, TapelineError } from '../errors.ts'
import type { ControlBus } from './bus.ts'
import type { ControlRecordOf } from './control-records.ts'
import type { Registry } from './registry.ts'

type Request = ControlRecordOf<
  | 'CREATE_TOPIC_REQUEST'
  | 'MOVE_LEASE_REQUEST'
  | 'END_LEASE_REQUEST'
  | 'CREATE_WEBHOOK_REQUEST'
  | 'CHANGE_WEBHOOK_REQUEST'
  | 'CREATE_KEY_REQUEST'
  | 'REVOKE_KEY_REQUEST'
  | 'RESET_ACTOR'
>

interface AskOptions {
  readonly waitMs: number
  /** Who is to answer, for the error. */
  readonly whom: string
  /** What still belongs to the answer, within the same time. */
  readonly settle?: (reply: ControlRecordOf<'REPLY'>, deadline: AbortSignal) => Promise<void>
}

/**
 * Sends a request on the control topic and waits for its REPLY.
 * Raises what the reply says, or CONTROL_UNAVAILABLE where none comes in time.
 */
export async function ask(
  bus: ControlBus,
  request: Request,
  { waitMs, whom, settle }: AskOptions,
  signal: AbortSignal,
): Promise<void> {
  try {
    await withDeadline(signal, waitMs, async (deadline) => {
      // It listens before it sends, so that no answer is missed.
      const answered = bus.first('REPLY', (reply) => reply.requestId === request.requestId, deadline)
      const [reply] = await Promise.all([answered, bus.send([request], deadline)])
      if (reply.failure) throw new TapelineError(toCode(reply.failure.code), reply.failure.message)
      await settle?.(reply, deadline)
    })
  } catch (error) {
    if (error instanceof TapelineError || signal.aborted) throw error
    throw new TapelineError('CONTROL_UNAVAILABLE', `${whom} did not answer within ${waitMs} ms`, {
      cause: error,
    })
  }
}

/** How long a coordinator may take to answer. */
const COORDINATOR_WAIT_MS = 10_000

/** Asks a coordinator, and waits until the registry of this process shows what it did. Raises what the reply says, or CONTROL_UNAVAILABLE. */
export function askCoordinator(
  { bus, registry }: { readonly bus: ControlBus; readonly registry: Pick<Registry, 'reached'> },
  request: Request,
  signal: AbortSignal,
  waitMs = COORDINATOR_WAIT_MS,
): Promise<void> {
  const settle = ({ registryOffset }: ControlRecordOf<'REPLY'>, deadline: AbortSignal): Promise<void> =>
    registry.reached(registryOffset, deadline)
  return ask(bus, request, { waitMs, whom: 'a coordinator', settle }, signal)
}

function toCode(code: string): ErrorCode {
  return code in ERROR_KINDS ? (code as ErrorCode) : 'INTERNAL'
}
