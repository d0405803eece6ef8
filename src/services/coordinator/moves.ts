import type { ControlRecordOf } from '../../control/control-records.ts'
import type { LeaseRecord } from '../../control/registry-records.ts'
import type { RegistryView } from '../../control/registry-view.ts'
import { findTopic } from '../../control/topics.ts'
import { TapelineError } from '../../errors.ts'
import { bodyOf } from './apply-requests.ts'
import type { RegistryBody } from './leader.ts'
import type { CoordinatorParts } from './requests.ts'

export type MoveRequest = ControlRecordOf<'MOVE_LEASE_REQUEST'>
type SeamPassed = ControlRecordOf<'SEAM_PASSED'>
type LeaseBody = RegistryBody & { kind: 'lease' }

/** So many former topics a lease may have: each is kept until retention has passed it. */
const MOST_FORMER = 15

/** Why a lease must not move; undefined where it may. */
export function refusalOf({ leaseId, app }: MoveRequest, view: RegistryView): TapelineError | undefined {
  const lease = view.leaseRecord(leaseId)
  if (lease === undefined || view.lease(leaseId) === undefined) return unknownLease()
  if (lease.standing) return new TapelineError('STREAM_STANDING', `the configuration asks for ${leaseId}`)
  if (lease.app !== app && app !== 'admin') return unknownLease()
  if ((view.lease(leaseId)?.former?.length ?? 0) < MOST_FORMER) return undefined
  return new TapelineError('MOVE_LIMIT', `${leaseId} has ${MOST_FORMER} former topics already`)
}

export function unknownLease(): TapelineError {
  return new TapelineError('STREAM_UNKNOWN', 'no stream of this id belongs to the application')
}

/** Of several moves of one lease that are asked for at once, the last one holds for all: between them nothing could come. */
export function lastOfEach(requests: readonly MoveRequest[]): MoveRequest[] {
  const last = new Map(requests.map((request) => [request.leaseId, request]))
  return requests.map((request) => {
    const { spec, ttlMs } = last.get(request.leaseId) ?? request
    return { ...request, spec, ttlMs }
  })
}

/** Where a lease begins in the stream that it moves to, and where it leaves the one that it has. */
interface Seam {
  /** Per partition of the fixed topic that the new stream is derived from. */
  readonly start: readonly number[]
  /** The offset of the topic in front of which there is nothing of its own. */
  readonly begin: number
  /** Per partition of the fixed topic that the former stream is derived from. */
  readonly seam: readonly number[]
}

/** A lease that has moved to another stream at a seam. */
export function movedLease(
  lease: LeaseRecord | LeaseBody,
  to: { readonly streamId: string; readonly ttlMs: number },
  { start, begin, seam }: Seam,
  view: RegistryView,
): LeaseBody {
  const isThere = (streamId: string): boolean => (view.stream(streamId)?.state ?? 'ending') !== 'ending'
  const left = {
    streamId: lease.streamId,
    ...(lease.start && { start: lease.start }),
    ...{ begin: lease.begin ?? 0, seam, end: null },
  }
  return {
    ...withoutAuthor(lease),
    ...{ ...to, start, begin, opensTopic: false },
    former: [...(lease.former ?? []).filter(({ streamId }) => isThere(streamId)), left],
  }
}

/** A lease of the registry, or one that is about to go there. */
export function withoutAuthor(lease: LeaseRecord | LeaseBody): LeaseBody {
  return 'v' in lease ? bodyOf(lease) : lease
}

/** Follows how far the owners of shards are with streams that leases leave. */
export interface Moves {
  note(report: SeamPassed): void
  /** Tells where all in front of a seam lies, once every shard has passed it. */
  close(signal: AbortSignal): Promise<void>
}

export function createMoves({ broker, names, registry, leader }: CoordinatorParts): Moves {
  const { view } = registry
  /** Per stream and shard: what its owner said last. */
  const passed = new Map<string, Map<number, { readonly offset: number; readonly epoch: number }>>()

  const hasPassed = (streamId: string, seam: readonly number[]): boolean =>
    seam.every((offset, k) => {
      const said = passed.get(streamId)?.get(k)
      // A former owner's last records may lie after the marker of the next one: these count for nobody.
      return said !== undefined && said.offset >= offset && said.epoch === view.claimOf(names.shardId(k))
    })

  const due = (): { readonly leaseId: string; readonly streamId: string }[] =>
    [...view.openSeams()].filter(({ streamId, seam }) => hasPassed(streamId, seam))

  return {
    note({ shard, shardEpoch: epoch, passed: streams }) {
      for (const { streamId, offset } of streams) {
        const known = passed.get(streamId) ?? new Map<number, { offset: number; epoch: number }>()
        passed.set(streamId, known)
        if (epoch >= (known.get(shard)?.epoch ?? -1)) known.set(shard, { offset, epoch })
      }
    },
    async close(signal) {
      if (passed.size === 0) return
      if (due().length > 0) {
        // A shard that was taken over before this moment shows now.
        await registry.catchUp(signal)
        const ends = new Map<string, number>()
        for (const { streamId } of due()) {
          const stream = view.stream(streamId)
          if (stream === undefined || ends.has(streamId)) continue
          const shown = await findTopic(broker, stream.topic, signal)
          if (shown?.id === stream.topicId) ends.set(streamId, shown.offsets[0]?.end ?? 0)
        }
        const closed = closedLeases(view, new Set(due().map(({ leaseId }) => leaseId)), (streamId, seam) =>
          hasPassed(streamId, seam) ? ends.get(streamId) : undefined,
        )
        if (closed.length > 0) await leader.write(closed, [], signal)
      }
      const open = new Set([...view.openSeams()].map(({ streamId }) => streamId))
      for (const id of passed.keys()) if (!open.has(id)) passed.delete(id)
    },
  }
}

function closedLeases(
  view: RegistryView,
  leaseIds: ReadonlySet<string>,
  endOf: (streamId: string, seam: readonly number[]) => number | undefined,
): LeaseBody[] {
  return [...leaseIds].flatMap((id) => {
    const lease = view.leaseRecord(id)
    if (lease === undefined) return []
    const former = (lease.former ?? []).map((each) => ({
      ...each,
      end: each.end ?? endOf(each.streamId, each.seam) ?? null,
    }))
    return [{ ...bodyOf(lease), former }]
  })
}
