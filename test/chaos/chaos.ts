import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Broker } from '../../src/ports/broker.ts'
import { until } from '../e2e/platform-process.ts'
import { checkClient, checkRows, checkStream, missingTrades, type Span } from '../e2e/servers/checks.ts'
import type { Cluster } from '../e2e/servers/cluster.ts'
import { drain } from '../e2e/servers/drain.ts'
import type { Evidence } from '../e2e/servers/evidence.ts'
import { FOREIGN, foreignNow, LOOKS_LIKE_OURS, makeForeign } from '../e2e/servers/foreign.ts'
import { alertsAt, allActors } from '../e2e/servers/operations-view.ts'
import { begin } from './faults.ts'
import { type Cost, Progress } from './progress.ts'
import { type Fault, isKill, planFaults } from './schedule.ts'
import { openWorld, type World } from './world.ts'

export interface ChaosOptions {
  readonly seed: number
  /** How long faults are put upon it, in ms. */
  readonly forMs: number
  /** How far apart they begin on average, in ms. */
  readonly everyMs: number
  /** Trades a second. */
  readonly rate: number
  /** Programs of another PostgreSQL than that of the package. */
  readonly postgresBinaries?: string
  /** So many brokers; 1 by default. */
  readonly brokers?: 1 | 3
  /** So many platforms on these servers, each with prefixes, a database, a source and applications of its own; 1 by default. */
  readonly platforms?: 1 | 2
  readonly print: (line: string) => void
}

export interface ChaosResult {
  /** What is wrong; empty when all is well. */
  readonly violations: readonly string[]
  readonly kills: number
  /** Folders with the logs of all processes; none where they were removed, since all is well. */
  readonly logs: readonly string[]
}

/** Everything must move again within so long after the last fault. */
const RECOVERED_MS = 90_000
/** How long it then runs without faults, so that nearly every market has had a trade: only that shows its gap. */
const CALM_MS = 8_000
/** Longer than a machine that waits for work needs to take a failure for over (60 s). */
const HEALTHY_MS = 80_000
/** A server that takes so long to start again is named: what the platform cannot do anything about. */
const SLOW_RETURN_MS = 1_000

/**
 * Runs each platform in six processes on Kafka and PostgreSQL, kills, freezes, cuts and delays whatever the seed says, lets it
 * settle, and looks whether anything was lost, repeated or swapped. Rejects where it does not come so far, or with the
 * signal; what was started is ended in any case.
 */
export async function runChaos(options: ChaosOptions, signal: AbortSignal): Promise<ChaosResult> {
  const { seed, forMs, everyMs, rate, postgresBinaries, brokers = 1, platforms = 1, print } = options
  const violations: string[] = []
  const startedAt = Date.now()
  const now = (): string => `${((Date.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s`
  const common = {
    ...{ rate, brokers },
    ...(postgresBinaries !== undefined && { postgresBinaries }),
    onUnexpectedEnd(name: string, how: number | NodeJS.Signals | null) {
      if (signal.aborted) return
      violations.push(`${name} ended by itself: ${how}`)
      print(`${now()}  ${name} ended by itself: ${how}`)
    },
  }
  const first = await openWorld({ ...common, seed })
  const worlds: [World, ...World[]] = [first]
  let progress: Progress | undefined
  let isWell = false
  try {
    const othersChanges = await makeOthers(first.cluster)
    if (platforms === 2) worlds.push(await openWorld({ ...common, seed: seed + 1, beside: first }))
    const watch = new Progress(worlds)
    progress = watch
    await until(
      'every shard has rows',
      () => {
        signal.throwIfAborted()
        return watch.rows > 0
      },
      RECOVERED_MS,
    )
    const processes = worlds.flatMap(({ cluster }) => cluster.names)
    const plan = planFaults({ seed, forMs, everyMs, processes, brokers })
    print(`${now()}  ${plan.length} faults follow, ${plan.filter(isKill).length} of them kill (seed ${seed})`)
    const costs = await carryOut(plan, { worlds, progress: watch, print, now, forMs }, signal)
    const calm = Date.now()
    await settle(worlds, watch, signal)
    print(`${now()}  everything moves again`)
    for (const world of worlds) violations.push(...(await unhealthy(world, signal)))
    const end = Date.now()
    await until('a while more has arrived', () => watch.rows > end + 2_000, RECOVERED_MS)
    const span = { calm: calm * 1_000, until: end * 1_000 }
    print(describeFaults(plan, costs))
    for (const world of worlds) {
      const evidence = await drain(world.cluster, world.clients, signal)
      const found = check(world, evidence, span)
      violations.push(...found)
      for (const line of totals(world, evidence)) print(line)
      if (found.length > 0) await keepEvidence(world, evidence)
    }
    violations.push(...(await othersChanges()))
    print(`${now()}  everything is read`)
    isWell = violations.length === 0
    for (const line of violations) print(`VIOLATION: ${line}`)
    return {
      violations,
      kills: plan.filter(isKill).length,
      logs: isWell ? [] : worlds.map(({ cluster }) => cluster.logs),
    }
  } finally {
    await progress?.close()
    const keep = !isWell && !signal.aborted
    for (const world of worlds.toReversed()) {
      await world.close({ keep })
      if (keep) print(`seed ${seed}; logs, ledger and run files: ${world.cluster.folder}`)
    }
  }
}

/** Makes topics of others on the same broker; what it gives says afterwards what has become of them. */
async function makeOthers(cluster: Cluster): Promise<() => Promise<string[]>> {
  const names = [...FOREIGN, LOOKS_LIKE_OURS]
  const look = async <T>(at: (broker: Broker) => Promise<T>): Promise<T> => {
    const broker = await cluster.openBroker()
    try {
      return await at(broker)
    } finally {
      await broker.close()
    }
  }
  const before = await look(async (broker) => {
    await makeForeign(broker, names)
    return await foreignNow(broker, names)
  })
  return async () => {
    const after = await look((broker) => foreignNow(broker, names))
    return isDeepStrictEqual(after, before)
      ? []
      : [`topics of others have changed: ${JSON.stringify(before)} became ${JSON.stringify(after)}`]
  }
}

interface Stage {
  readonly worlds: readonly [World, ...World[]]
  readonly progress: Progress
  readonly print: (line: string) => void
  readonly now: () => string
  readonly forMs: number
}

/** Begins and ends each fault at its time, and lets the late applications come meanwhile. */
async function carryOut(plan: readonly Fault[], stage: Stage, signal: AbortSignal): Promise<Cost[]> {
  const { worlds, progress, print, now, forMs } = stage
  const startedAt = Date.now()
  const costs: Cost[] = []
  const wait = (ms: number) => delay(Math.max(0, ms - (Date.now() - startedAt)), undefined, { signal })

  const carry = async (fault: Fault): Promise<void> => {
    await wait(fault.at)
    const at = now().trim()
    const undo = await begin(fault, worlds)
    const lasts = fault.holdMs === 0 ? '' : `, for ${seconds(fault.holdMs)}`
    const what = fault.kind + (fault.kind.endsWith(fault.target) ? '' : ` ${fault.target}`)
    print(`${now()}  ${what}${lasts}`)
    costs.push(progress.measure((cost) => print(`${now()}      ${what} at ${at} cost ${describeCost(cost)}`)))
    try {
      await delay(fault.holdMs, undefined, { signal })
    } finally {
      const since = Date.now()
      await undo()
      const took = Date.now() - since
      if (took >= SLOW_RETURN_MS)
        print(`${now()}      ${what} at ${at} is over: it took ${seconds(took)} to come back`)
    }
  }

  const comeLate = async (world: World, nth: number, of: number): Promise<void> => {
    const at = (forMs * (nth + 0.5)) / of
    await wait(at)
    // Faults may follow each other so closely that nobody gets a stream before the last one.
    await world.openLate(forMs - at + RECOVERED_MS)
    print(`${now()}  another application reads`)
  }

  const late = worlds.flatMap((world) =>
    Array.from({ length: world.late }, (_, nth) => ({ world, nth, of: world.late })),
  )
  const works = [...plan.map(carry), ...late.map(({ world, nth, of }) => comeLate(world, nth, of))]
  const results = await Promise.allSettled(works)
  for (const result of results) if (result.status === 'rejected') throw result.reason
  return costs
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

function describeCost({ rowsMs, clientsMs, slowest }: Cost): string {
  const known = (ms: number | undefined): string => (ms === undefined ? 'not known' : seconds(ms))
  return `rows ${known(rowsMs)}, applications ${known(clientsMs)}${slowest ? ` (last ${slowest})` : ''}`
}

/** Waits until trades of after now are in the rows of each shard and at each application. */
async function settle(worlds: readonly World[], progress: Progress, signal: AbortSignal): Promise<void> {
  const since = Date.now() + CALM_MS
  await until(
    'rows and applications move again',
    () => {
      signal.throwIfAborted()
      return progress.rows > since && progress.clients > since
    },
    RECOVERED_MS + CALM_MS,
  ).catch((error: unknown) => {
    const ago = (at: number): string => seconds(Date.now() - at)
    throw new Error(
      `${String(error)}: rows are ${ago(progress.rows)} behind, applications ${ago(progress.clients)} (${worlds.map(({ cluster }) => cluster.logs)})`,
    )
  })
}

/** Machines in error and alerts that stay although nothing is wrong any more. */
async function unhealthy({ cluster, gateways }: World, signal: AbortSignal): Promise<string[]> {
  const look = async (): Promise<string[]> => {
    const found: string[] = []
    for (const name of gateways) {
      const failing = (await allActors(cluster, name)).filter(({ errorInfo }) => errorInfo !== null)
      const alerts = await alertsAt(cluster, name)
      found.push(
        ...failing
          .filter(({ id, state }) => state === 'error' || alerts.some((alert) => alert.id === id))
          .map(
            ({ id, state, since, errorInfo }) =>
              `${name}: ${id} is in ${state} since ${since} with ${errorInfo?.code} of ${errorInfo?.step}, attempt ${errorInfo?.attempt}`,
          ),
        ...alerts.map(({ id, code, message }) => `${name}: the alert ${id} stays: ${code} ${message}`),
      )
    }
    return found
  }
  let found: string[] = []
  try {
    await until(
      'no machine is in error and no alert is left',
      async () => {
        signal.throwIfAborted()
        // A connection of before the last fault may break at first use.
        found = await look().catch((error: unknown) => [String(error)])
        return found.length === 0
      },
      HEALTHY_MS,
    )
  } catch {
    signal.throwIfAborted()
    return found
  }
  return []
}

/** What the servers held, for whoever looks for the cause: they are gone afterwards. */
async function keepEvidence({ cluster, clients }: World, evidence: Evidence): Promise<void> {
  const { stored, gaps, published, leases, streams } = evidence
  const registry = { leases: [...leases.values()], streams: [...streams.values()] }
  const topics = Object.fromEntries(
    registry.streams.map(({ topic }) => [topic, evidence.topic(topic) ?? null]),
  )
  const applications = clients.map(({ name, stream, segments, surprises }) => ({
    ...{ name, stream, segments, surprises },
  }))
  const all = { stored, gaps, published, registry, topics, applications }
  await writeFile(join(cluster.folder, 'evidence.json'), JSON.stringify(all))
}

function check({ clients }: World, evidence: Evidence, span: Span): string[] {
  return [
    ...checkRows(evidence, span),
    ...clients.flatMap(({ name, stream, segments, surprises }) => {
      const { lease, topic } = stream
      const record = evidence.streams.get(evidence.leases.get(lease)?.streamId ?? '')
      return [
        ...(record === undefined ? [`${name}: the registry lacks its stream ${lease}`] : []),
        ...(record === undefined ? [] : checkStream(evidence, record)),
        ...checkClient(evidence, { name, topic, segments }),
        ...surprises
          .filter(({ op, code = '' }) => op === 'end' || FATAL.has(code))
          .map(({ op, code = '', reason = '' }) => `${name} was told ${op} ${code}${reason}`),
      ]
    }),
  ]
}

/** What an application with a lease and a cursor of ours must never be told. */
const FATAL: ReadonlySet<string> = new Set(['STREAM_UNKNOWN', 'CURSOR_INVALID', 'INTERNAL'])

function describeFaults(plan: readonly Fault[], costs: readonly Cost[]): string {
  const worst = (of: (cost: Cost) => number | undefined): string => {
    const known = costs.flatMap((cost) => of(cost) ?? []).sort((a, b) => a - b)
    return `median ${seconds(known[known.length >> 1] ?? 0)}, longest ${seconds(known.at(-1) ?? 0)}`
  }
  return `${plan.length} faults, ${plan.filter(isKill).length} of them kills; rows moved on after ${worst((cost) => cost.rowsMs)}; applications after ${worst((cost) => cost.clientsMs)}`
}

function totals({ clients }: World, evidence: Evidence): string[] {
  const sum = (of: (client: World['clients'][number]) => number): number =>
    clients.reduce((total, client) => total + of(client), 0)
  const surprises = Map.groupBy(
    clients.flatMap((client) => client.surprises),
    ({ op, code = '' }) => `${op} ${code}`.trim(),
  )
  const { emitted, stored, gaps, published } = evidence
  return [
    `${emitted.length} trades emitted, ${published.length} in the fixed topic, ${stored.length} rows, ${missingTrades(evidence).length} missing in ${gaps.length} flagged gaps`,
    `${clients.length} applications got ${sum(({ count }) => count)} events over ${sum(({ connections }) => connections)} connections; they were told: ${[...surprises].map(([what, all]) => `${what} x ${all.length}`).join(', ') || 'nothing else'}`,
  ]
}
