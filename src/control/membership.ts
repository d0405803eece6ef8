import { startInterval } from '../async/timers.ts'
import { toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import type { ControlBus } from './bus.ts'
import type { ProcessReport } from './process-report.ts'
import { CONTROL_VERSION } from './records.ts'

export type Role = 'producer' | 'coordinator' | 'consumer-fixed' | 'gateway'

const HEARTBEAT_MS = 2_000
/** A member that has been silent so long is taken for gone. */
const SILENT_MS = 7_000

interface Member {
  readonly instance: string
  readonly roles: readonly string[]
  /** The leases that it reads; undefined where what it says is not understood (R23). */
  readonly reading: readonly string[] | undefined
  /** What it last said of itself; undefined of this process. */
  readonly report?: ProcessReport | undefined
  readonly lastSeen: number
}

/** Who is there: each process says so every two seconds on the control topic. */
export interface Membership {
  /** Members heard of lately, this process included. */
  live(): readonly Member[]
  /** Who tells which leases are read here; asked at each heartbeat. */
  reading(source: () => Iterable<string>): void
  /** Who tells what the others may know of this process; asked at once, and at each heartbeat. */
  report(source: () => ProcessReport): void
  close(): void
}

/** `now`: milliseconds of a clock of this machine that never steps back, since others' clocks may differ. */
export function joinMembership(
  bus: ControlBus,
  me: { readonly instance: string; readonly roles: readonly Role[] },
  now: () => number,
  log: Log,
): Membership {
  const members = new Map<string, Member>()
  const sources: (() => Iterable<string>)[] = []
  const readHere = (): string[] => [...new Set(sources.flatMap((source) => [...source()]))]

  let reportOfThis: (() => ProcessReport) | undefined

  const stop = bus.on('HEARTBEAT', ({ instance, roles, reading, report }) => {
    members.set(instance, { instance, roles, reading, report, lastSeen: now() })
  })
  const stopUnreadable = bus.onUnreadable(({ kind, instance }) => {
    if (kind !== 'HEARTBEAT' || instance === undefined) return
    members.set(instance, { instance, roles: [], reading: undefined, lastSeen: now() })
  })
  const beat = (): void => {
    bus
      .send([
        {
          v: CONTROL_VERSION,
          kind: 'HEARTBEAT',
          instance: me.instance,
          roles: [...me.roles],
          reading: readHere(),
          report: reportOfThis?.(),
        },
      ])
      .catch((error: unknown) => log.debug({ code: toTapelineError(error).code }, 'a heartbeat was not sent'))
  }
  const timer = startInterval(beat, HEARTBEAT_MS)
  timer.unref()
  beat()

  return {
    live() {
      for (const [instance, member] of members) {
        if (now() - member.lastSeen > SILENT_MS) members.delete(instance)
      }
      const self = { instance: me.instance, roles: me.roles, reading: readHere(), lastSeen: now() }
      return [self, ...[...members.values()].filter((member) => member.instance !== me.instance)]
    },
    reading(source) {
      sources.push(source)
    },
    report(source) {
      reportOfThis = source
      beat()
    },
    close() {
      timer.stop()
      stop()
      stopUnreadable()
    },
  }
}
