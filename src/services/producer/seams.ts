import { startInterval } from '../../async/timers.ts'
import type { ControlRecordOf } from '../../control/control-records.ts'
import { CONTROL_VERSION } from '../../control/record-format.ts'
import { toTapelineError } from '../../errors.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import { mayHold } from './prepare-topics.ts'
import type { Route } from './route.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'

/** How often it looks while leases move. */
const LOOK_MS = 20
/** How often it says again what it has said: the leader may have changed. */
const REPEAT_MS = 1_000
/** After so long without anything to publish a partition that ends in front of a seam is claimed anew: a former owner has written there. */
const STRAY_MS = 5_000

/** Where a lease leaves a stream on a shard, and the offset of the registry's record that says so. */
interface Seam {
  readonly offset: number
  readonly since: number
}

type Passed = ControlRecordOf<'SEAM_PASSED'>['passed'][number]

/**
 * Tells the leader how far streams are that leases leave, of the shards of this process: so it knows when such a stream holds all in front of the
 * seam (R13). It looks only while some lease moves.
 */
export function followSeams(
  { registry, bus, instance, now, log }: ProducerParts,
  { shards, routes, doubt }: ShardOwnership,
): { close(): void } {
  const said = new Map<string, { readonly offset: number; readonly at: number }>()
  const strayedSince = new Map<string, number>()
  let looks: { stop(): void } | undefined

  const passedOf = (shard: Shard, streams: ReadonlyMap<string, readonly Seam[]>): Passed[] =>
    [...streams].flatMap(([streamId, all]) => {
      const route = routes.table.get(streamId)
      if (route === undefined) return []
      if (!isTold(routes, route, shard)) {
        routes.askToRead(route, shard.k)
        return []
      }
      const derived = derivedTo(route, shard)
      if (derived === undefined) return []
      const seams = all.map(({ offset }) => offset)
      const offset = Math.max(derived, ...lostSeams(all, shard, route, derived))
      const key = `${streamId} ${shard.k} ${shard.epoch}`
      const passed = seams.filter((seam) => seam <= offset)
      if (passed.length < seams.length) heal(key, route, shard)
      if (passed.length === 0) return []
      const last = said.get(key)
      // What it holds beyond a seam is no news.
      const isNews = last === undefined || passed.some((seam) => seam > last.offset)
      if (!isNews && now() - last.at < REPEAT_MS) return []
      said.set(key, { offset, at: now() })
      return [{ streamId, offset }]
    })

  /** What a former owner wrote after this owner's records stands in front of the seam, and only a claim shows that it counts for nobody. */
  const heal = (key: string, route: Route, shard: Shard): void => {
    const tail = shard.tails[route.channel]
    const isIdle = tail.pending.length === 0 && tail.derivedTo === tail.expected
    const progress = route.progress.get(shard.k)
    if (!isIdle || progress?.behind !== undefined) {
      strayedSince.delete(key)
      return
    }
    const since = strayedSince.get(key) ?? now()
    strayedSince.set(key, since)
    if (now() - since < STRAY_MS) return
    strayedSince.delete(key)
    doubt([shard.k])
  }

  const look = (): void => {
    const seams = [...registry.view.openSeams()]
    if (seams.length === 0) {
      looks?.stop()
      looks = undefined
      said.clear()
      strayedSince.clear()
      return
    }
    routes.sync(shards.values())
    const records = [...shards.values()].flatMap((shard) => {
      const streams = new Map<string, Seam[]>()
      for (const { streamId, seam, offset: since } of seams)
        streams.set(streamId, [...(streams.get(streamId) ?? []), { offset: seam[shard.k] ?? 0, since }])
      const passed = passedOf(shard, streams)
      const record = {
        kind: 'SEAM_PASSED',
        instance,
        shard: shard.k,
        shardEpoch: shard.epoch,
        passed,
      } as const
      return passed.length > 0 ? [{ ...record, v: CONTROL_VERSION } as const] : []
    })
    if (records.length === 0) return
    bus.send(records).catch((error: unknown) => {
      said.clear()
      log.debug({ code: toTapelineError(error).code }, 'the leader was not told of a seam')
    })
  }

  const begin = (): void => {
    if (looks === undefined && !registry.view.openSeams().next().done) looks = startInterval(look, LOOK_MS)
  }
  const unwatch = registry.watch(begin)
  begin()
  return {
    close() {
      unwatch()
      looks?.stop()
    },
  }
}

/**
 * Whether the readers of a stream know of all ends that its fixed partition has lost: this owner has read what the stream holds, and has told them. What they have
 * of a lost end must not count in the next topic.
 */
function isTold(routes: Routes, route: Route, shard: Shard): boolean {
  const progress = route.progress.get(shard.k)
  if (progress?.isRead === false && mayHold(route, shard)) return false
  return progress?.again === undefined || !routes.isJoined(route)
}

/**
 * Seams that lie in an end that the log has lost, so that nothing may ever reach them: they are older than this owner's claim, and lie beyond its marker. What comes in
 * front of them is new, and the next streams of the leases have it.
 */
function lostSeams(seams: readonly Seam[], shard: Shard, { channel }: Route, derived: number): number[] {
  const { marker } = shard.tails[channel]
  if (derived <= marker) return []
  const lost = seams.filter(({ offset, since }) => offset > marker && since < shard.epoch)
  const others = seams.filter(({ offset, since }) => offset > derived && since >= shard.epoch)
  return lost.map(({ offset }) => offset).filter((each) => others.every(({ offset }) => offset > each))
}

/** The first fixed offset of a shard that a stream may not hold yet; undefined where nobody knows. */
function derivedTo({ channel, progress }: Route, shard: Shard): number | undefined {
  const own = progress.get(shard.k)
  if (own === undefined || own.anew !== undefined || own.latestDue) return undefined
  return own.behind ?? shard.tails[channel].derivedTo
}
