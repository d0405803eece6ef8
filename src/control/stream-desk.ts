import { withDeadline } from '../async/deadline.ts'
import { type StreamWarning, warningsOf } from '../domain/offer.ts'
import { specKey } from '../domain/stream-spec.ts'
import { TapelineError } from '../errors.ts'
import type { Lease, LeaseChange, StreamDesk } from '../ports/streams.ts'
import { askCoordinator } from './ask.ts'
import type { ControlBus } from './bus.ts'
import type { ControlRecordOf } from './control-records.ts'
import type { Membership } from './membership.ts'
import { followReadTimes } from './read-times.ts'
import { CONTROL_VERSION } from './record-format.ts'
import type { Registry } from './registry.ts'

/** How long looking up a stream that is not known here may take. */
const REGISTRY_WAIT_MS = 2_000
/** Lists of thousands of streams are asked for every few seconds: so long their warnings stand. */
const WARNINGS_MS = 2_000

interface DeskParts {
  readonly instance: string
  readonly bus: ControlBus
  readonly registry: Registry
  readonly membership: Membership
  readonly newId: () => string
}

/** How the applications of this process get streams: requests on the control topic, state from the registry. */
export function createStreamDesk({ instance, bus, registry, membership, newId }: DeskParts): StreamDesk {
  const { view } = registry
  const readTimes = followReadTimes(bus, registry)
  const author = { v: CONTROL_VERSION, instance } as const
  const refuseWithheld = (leaseId: string): void => {
    const withheld = view.withheld(leaseId)
    if (withheld) throw new TapelineError('UPGRADE_NEEDED', withheld.reason)
  }

  const warnings = new Map<string, readonly StreamWarning[]>()
  let warnedAt = Number.NEGATIVE_INFINITY

  return {
    async request({ leaseId, app, ...wanted }, signal) {
      const requestId = newId()
      const request = {
        ...author,
        kind: 'CREATE_TOPIC_REQUEST',
        requestId,
        leaseId,
        app,
        ...wanted,
        standing: false,
      } as const
      await askForLease(bus, request, registry, signal)
      const lease = view.lease(leaseId)
      if (!lease) refuseWithheld(leaseId)
      if (!lease) throw new TapelineError('STREAM_UNKNOWN', `the stream ${leaseId} ended before it was used`)
      return lease
    },
    async move({ leaseId, ...wanted }, signal) {
      const request = {
        ...author,
        kind: 'MOVE_LEASE_REQUEST',
        requestId: newId(),
        leaseId,
        ...wanted,
      } as const
      await askForLease(bus, request, registry, signal)
      const lease = view.lease(leaseId)
      if (!lease) refuseWithheld(leaseId)
      if (!lease) throw new TapelineError('STREAM_UNKNOWN', `the stream ${leaseId} ended before it was used`)
      return lease
    },
    async end(leaseId, app, signal) {
      const request = { ...author, kind: 'END_LEASE_REQUEST', requestId: newId(), leaseId, app } as const
      await askForLease(bus, request, registry, signal)
    },
    list(app) {
      const all: Lease[] = []
      for (const record of view.leases()) {
        if (app !== undefined && record.app !== app) continue
        const lease = view.lease(record.id)
        if (lease) all.push(lease)
      }
      return all
    },
    get: (leaseId) => view.lease(leaseId),
    async find(leaseId, signal, isLevel = () => true) {
      const known = view.lease(leaseId)
      if (known && isLevel(known)) return known
      try {
        await withDeadline(signal, REGISTRY_WAIT_MS, (deadline) => registry.catchUp(deadline))
      } catch (error) {
        signal.throwIfAborted()
        throw new TapelineError('CONTROL_UNAVAILABLE', 'the registry cannot be read', { cause: error })
      }
      const lease = view.lease(leaseId)
      if (!lease) refuseWithheld(leaseId)
      return lease
    },
    lastReadAt: (leaseId) => readTimes.lastReadAt(leaseId),
    noteRead: (leaseId) => readTimes.note(leaseId),
    warnings(spec) {
      if (performance.now() - warnedAt > WARNINGS_MS) {
        warnings.clear()
        warnedAt = performance.now()
      }
      const key = specKey(spec)
      const known = warnings.get(key)
      if (known !== undefined) return known
      const producers = membership.live().filter(({ roles }) => roles.includes('producer'))
      const found = warningsOf(
        spec,
        producers.map(({ offer }) => offer),
      )
      warnings.set(key, found)
      return found
    },
    markets() {
      const offers = membership
        .live()
        .flatMap(({ roles, offer }) => (roles.includes('producer') ? [offer] : []))
      if (offers.some((offer) => offer?.markets === undefined)) return undefined
      return new Set(offers.flatMap((offer) => offer?.markets ?? []))
    },
    reading: (source) => membership.reading(source),
    watch: (listener) => registry.watch(listener),
  }
}

type Request = ControlRecordOf<'CREATE_TOPIC_REQUEST' | 'MOVE_LEASE_REQUEST' | 'END_LEASE_REQUEST'>

/** Whether a change is what a request asks for. */
function isResult(request: Request, change: LeaseChange): boolean {
  switch (request.kind) {
    case 'CREATE_TOPIC_REQUEST':
      return change.kind === 'ready' && change.lease.id === request.leaseId
    case 'MOVE_LEASE_REQUEST':
      return (
        change.kind === 'ready' &&
        change.lease.id === request.leaseId &&
        change.lease.ttlMs === request.ttlMs &&
        specKey(change.lease.spec) === specKey(request.spec)
      )
    case 'END_LEASE_REQUEST':
      return change.kind === 'ended' && change.leaseId === request.leaseId
  }
}

/**
 * Asks the coordinator for a lease, or to move or end one, and waits for its reply, and for the registry to show the result. A result that shows there is
 * an answer too: a leader may die between the two.
 * Raises what the coordinator answers, or CONTROL_UNAVAILABLE where no answer comes in time.
 */
export async function askForLease(
  bus: ControlBus,
  request: Request,
  registry: Registry,
  signal: AbortSignal,
  waitMs?: number,
): Promise<void> {
  const shown = Promise.withResolvers<void>()
  const unwatch = registry.watch((change) => {
    if (isResult(request, change)) shown.resolve()
  })
  const answered = new AbortController()
  const either = AbortSignal.any([signal, answered.signal])
  const reply = askCoordinator({ bus, registry }, request, either, waitMs)
  try {
    await Promise.race([reply, shown.promise])
  } finally {
    unwatch()
    reply.catch(() => undefined)
    answered.abort()
  }
}
