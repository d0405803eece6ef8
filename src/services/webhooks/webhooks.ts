import { NEVER, withAbort } from '../../async/abort.ts'
import { withDeadline } from '../../async/deadline.ts'
import { createSerializer } from '../../async/serialize.ts'
import { pause } from '../../async/timers.ts'
import { claimOwnership } from '../../control/claim.ts'
import { EndpointIndex } from '../../control/endpoint-index.ts'
import { logInterruption } from '../../control/interruption.ts'
import type { PlatformNames } from '../../control/names.ts'
import type { Registry } from '../../control/registry.ts'
import type { WebhookRecord } from '../../control/registry-records.ts'
import { shardOf } from '../../domain/events.ts'
import { toTapelineError } from '../../errors.ts'
import type { Broker, TopicPartition } from '../../ports/broker.ts'
import { type Claiming, Holding } from '../holding/holding.ts'
import { EndpointPartition, PROOF_MS } from './partition.ts'
import { alertOf, type RunParts, runWebhook, type WebhookRun } from './webhook-run.ts'

/** How often what rests is looked at, where nothing else happens. */
const LOOK_MS = 500
/** How long taking partitions over may take. */
const CLAIM_MS = 30_000
/** How long letting go of one may take beyond the end of its runs. */
const RELEASE_MS = 2_000

export interface WebhooksParts extends RunParts {
  readonly broker: Broker
  readonly names: PlatformNames
  readonly registry: Registry
  readonly instance: string
  /** Partitions of `tapeline.endpoints`. */
  readonly partitions: number
  /** No other process can have been here a moment ago: nobody's last message has to be waited for. */
  readonly isAlone: boolean
}

/** The webhooks that this process serves. */
export interface Webhooks {
  close(): Promise<void>
}

/** A partition that this process owns, with the webhooks that it serves. */
interface Owned {
  readonly partition: EndpointPartition
  readonly runs: Map<string, WebhookRun>
  /** Nothing is sent before: a former owner's last message may still be under way. */
  readonly restsUntil: number
}

/** Serves the webhooks whose partitions the group of gateways gives to this process (R25). */
export function startWebhooks(parts: WebhooksParts): Webhooks {
  const { broker, names, registry, instance, partitions, isAlone, now, sender, alerts, log, meter } = parts
  const { view } = registry
  const stop = new AbortController()
  const inTurn = createSerializer()
  let wake = (): void => {}
  const interruption = logInterruption(log, {
    began: 'webhooks cannot be served, trying again',
    ended: 'webhooks are served again',
  })

  const partitionOf = ({ id }: Pick<WebhookRecord, 'id'>): number => shardOf(id, partitions)

  const endRuns = async ({ runs }: Owned): Promise<void> => {
    const ending = [...runs.values()].map((run) => run.stop())
    runs.clear()
    await Promise.all(ending)
  }

  const holding = new Holding<number, Owned>({
    ...{ broker, group: names.groups.gateways, topics: [names.endpoints], now },
    keyOf: ({ partition }) => partition,
    remember: () => undefined,
    async release(owned, next) {
      await endRuns(owned)
      for (const id of owned.partition.known()) alerts.clear(alertOf(id))
      // Who comes next need not wait.
      if (next === 'unowned') await settle(owned.partition.tellHeld(false))
      await settle(owned.partition.close())
    },
    assigned: () => wake(),
  })

  const settle = async (work: Promise<void>): Promise<void> => {
    await withDeadline(NEVER, RELEASE_MS, () => work).catch((error: unknown) => {
      log.debug({ code: toTapelineError(error).code }, 'webhooks were not let go of in order')
    })
  }

  const take = async (place: TopicPartition, signal: AbortSignal): Promise<Owned> => {
    const k = place.partition
    const ownership = await claimOwnership(broker, names, names.endpointsId(k), instance, now(), signal)
    try {
      const index = new EndpointIndex(broker, names.endpoints, [k])
      await index.refresh(signal)
      await registry.reached(ownership.epoch + 1, signal)
      const partition = new EndpointPartition({
        ...{ place, ownership, instance, index },
        onBroken: ({ code }) => {
          if (code === 'FENCED') holding.yield(k)
          else holding.doubt(k)
          wake()
        },
      })
      const mustRest = partition.wasHeldByOthers && !isAlone
      await partition.tellHeld(true)
      const restsUntil = mustRest ? performance.now() + sender.longestMs + PROOF_MS : 0
      log.info({ partition: k, epoch: ownership.epoch, mustRest }, 'webhooks taken over')
      return { partition, runs: new Map(), restsUntil }
    } catch (error) {
      await settle(ownership.writer.close())
      throw error
    }
  }

  const takeOver = async ({
    partitions: due,
    signal,
    succeed,
    refuse,
    yield: leave,
  }: Claiming<number, Owned>) => {
    const wanted = new Set([...view.webhooks()].map(partitionOf))
    for (const place of due) {
      const k = place.partition
      // What no webhook is in costs nothing.
      if (!wanted.has(k)) continue
      try {
        const owned = await withDeadline(signal, CLAIM_MS, (deadline) => take(place, deadline))
        if (!succeed(k, owned)) await settle(owned.partition.close())
        alerts.clear(`webhooks:${k}`)
      } catch (error) {
        const { code, message } = toTapelineError(error)
        if (code === 'FENCED') refuse(k)
        else if (code === 'UPGRADE_NEEDED') {
          alerts.raise(`webhooks:${k}`, code, message)
          leave(k)
        } else throw error
      }
    }
  }

  /** Has each partition serve the webhooks that it should, and no others. */
  const reconcile = async (): Promise<void> => {
    let serving = 0
    for (const owned of holding.held.values()) {
      if (owned.restsUntil > performance.now()) continue
      const { partition, runs } = owned
      const wanted = new Map(
        [...view.webhooks()]
          .filter((each) => partitionOf(each) === partition.partition)
          .map((each) => [each.id, each]),
      )
      for (const [id, run] of runs) {
        if (wanted.get(id)?.revision === run.revision) continue
        runs.delete(id)
        await run.stop()
        alerts.clear(alertOf(id))
      }
      for (const record of wanted.values()) serve(owned, record)
      serving += runs.size
      // What is not understood of the registry may be a webhook.
      if (view.unreadable.size > 0) continue
      for (const id of [...partition.known()]) if (!wanted.has(id)) await partition.forget(id)
    }
    meter.gauge('webhooks', serving)
  }

  const serve = ({ partition, runs }: Owned, record: WebhookRecord): void => {
    const { id, paused, revision } = record
    if (runs.has(id) || paused) return
    const known = partition.state(id)
    const stopped = known?.stopped
    if (stopped?.revision !== revision) {
      runs.set(id, runWebhook(record, known, partition, parts))
      return
    }
    if (stopped.reason !== 'ended')
      alerts.raise(alertOf(id), stopped.code, `the webhook ${id} is paused: ${stopped.message}`)
  }

  const look = async (): Promise<void> => {
    if (![...view.webhooks()].length && holding.held.size === 0) return
    await holding.join(stop.signal)
    await holding.claim(stop.signal, takeOver)
    await reconcile()
    interruption.end()
  }

  const turn = async (woken: AbortController): Promise<void> => {
    wake = () => woken.abort()
    try {
      await inTurn(look)
    } catch (error) {
      if (stop.signal.aborted) return
      interruption.begin(error)
      await pause(LOOK_MS, stop.signal)
      return
    }
    await pause(LOOK_MS, woken.signal)
  }

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) await withAbort(stop.signal, turn)
  }
  const unwatch = registry.watchWebhooks(() => wake())
  const running = run()

  return {
    async close() {
      stop.abort()
      unwatch()
      await running
      await holding.leave()
    },
  }
}
