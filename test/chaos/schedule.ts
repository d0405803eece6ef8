import { type Random, seededRandom } from '../../src/simulator/random.ts'

/** What a fault hits. Each is hit by one fault at a time. */
type FaultArea = 'process' | 'broker' | 'leaders' | 'database' | 'clients'

interface FaultTraits {
  readonly area: FaultArea
  /** How long it lasts, from the shortest to the longest, in ms. */
  readonly hold: readonly [number, number]
  /** How long after its end its target is left alone, in ms. */
  readonly rest: number
}

const kind = (area: FaultArea, shortest: number, longest: number, rest = 1_000): FaultTraits => ({
  area,
  hold: [shortest, longest],
  rest,
})

/**
 * `kill` is SIGKILL and a start after a while; `empty` the same of a broker that comes back without its data; `roll` restarts all brokers
 * in order, one after another; `freeze` SIGSTOP and SIGCONT; `move` gives partitions to other leaders; the others befall the
 * connections on their way.
 */
const FAULTS = {
  kill: kind('process', 0, 3_000, 5_000),
  freeze: kind('process', 3_000, 20_000),
  'kill-broker': kind('broker', 0, 3_000, 8_000),
  'freeze-broker': kind('broker', 1_000, 8_000),
  'cut-broker': kind('broker', 0, 0),
  'refuse-broker': kind('broker', 1_000, 6_000),
  'stall-broker': kind('broker', 1_000, 8_000),
  'slow-broker': kind('broker', 2_000, 8_000),
  'kill-controller': kind('broker', 0, 3_000, 8_000),
  'empty-broker': kind('broker', 0, 3_000, 8_000),
  'roll-brokers': kind('broker', 0, 0, 40_000),
  'move-leaders': kind('leaders', 0, 0, 500),
  'kill-database': kind('database', 0, 6_000, 4_000),
  'freeze-database': kind('database', 1_000, 8_000),
  'cut-database': kind('database', 0, 0),
  'refuse-database': kind('database', 1_000, 6_000),
  'stall-database': kind('database', 1_000, 8_000),
  'slow-database': kind('database', 2_000, 8_000),
  'cut-clients': kind('clients', 0, 0),
  'refuse-clients': kind('clients', 1_000, 4_000),
  'stall-clients': kind('clients', 1_000, 8_000),
  'slow-clients': kind('clients', 2_000, 8_000),
} as const satisfies Record<string, FaultTraits>

export type FaultKind = keyof typeof FAULTS

export interface Fault {
  /** When it begins, in ms from the start. */
  readonly at: number
  readonly kind: FaultKind
  /** The name of a process, or of the area where it has one target only. */
  readonly target: string
  readonly holdMs: number
}

const CONNECTION_FAULTS = (Object.keys(FAULTS) as FaultKind[]).filter(
  (name) => !/kill|empty|roll|move/.test(name),
)
/** What only several brokers can go through. */
const OF_SEVERAL: readonly FaultKind[] = [
  ...Array<FaultKind>(4).fill('move-leaders'),
  ...(['kill-controller', 'empty-broker', 'roll-brokers'] as const),
]

/** What hits not one broker by its number. */
const OF_ALL: ReadonlySet<FaultKind> = new Set(['kill-controller', 'roll-brokers'])

/** One deal of faults: seven of twelve kill; of several brokers eight of nineteen. */
function deal(random: Random, brokers: number): FaultKind[] {
  const others = Array.from({ length: 3 }, () => pick(random, CONNECTION_FAULTS))
  const cards: FaultKind[] = [
    ...Array<FaultKind>(5).fill('kill'),
    ...(['kill-broker', 'kill-database', 'freeze', 'freeze'] as const),
    ...others,
    ...(brokers > 1 ? OF_SEVERAL : []),
  ]
  for (let i = cards.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const [here, there] = [cards[i] as FaultKind, cards[j] as FaultKind]
    cards[i] = there
    cards[j] = here
  }
  return cards
}

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T

export interface PlanOptions {
  readonly seed: number
  /** Until when faults begin, in ms. */
  readonly forMs: number
  /** How far apart they begin on average, in ms. */
  readonly everyMs: number
  readonly processes: readonly string[]
  /** 1 by default. One of them is hit at a time: two must always be whole. */
  readonly brokers?: number
}

/** The faults of a run: the same for the same seed. Faults of different targets overlap. */
export function planFaults({ seed, forMs, everyMs, processes, brokers = 1 }: PlanOptions): Fault[] {
  const random = seededRandom(`chaos ${seed}`)
  const busyUntil = new Map<string, number>()
  const plan: Fault[] = []
  let cards: FaultKind[] = []
  for (let at = everyMs / 2; at < forMs; at += everyMs * (0.3 + 1.4 * random())) {
    if (cards.length === 0) cards = deal(random, brokers)
    const isFree = (target: string): boolean => (busyUntil.get(target) ?? 0) <= at
    const targetsOf = (name: FaultKind): string[] =>
      (FAULTS[name].area === 'process' ? [...processes] : [FAULTS[name].area]).filter(isFree)
    const next = cards.findIndex((name) => targetsOf(name).length > 0)
    if (next < 0) continue
    const [name] = cards.splice(next, 1) as [FaultKind]
    const slot = pick(random, targetsOf(name))
    const isOne = brokers > 1 && slot === 'broker' && !OF_ALL.has(name)
    const target = isOne ? `broker-${1 + Math.floor(random() * brokers)}` : slot
    const { hold, rest } = FAULTS[name]
    const holdMs = Math.round(hold[0] + (hold[1] - hold[0]) * random())
    busyUntil.set(slot, at + holdMs + rest)
    plan.push({ at: Math.round(at), kind: name, target, holdMs })
  }
  return plan
}

/** Whether a fault kills something. */
export const isKill = ({ kind: name }: Fault): boolean => name.startsWith('kill')
