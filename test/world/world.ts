import type { ErrorCode } from '../../src/errors.ts'
import { toTapelineError } from '../../src/errors.ts'
import type { Log } from '../../src/ports/log.ts'
import { seededRandom } from '../../src/simulator/random.ts'
import { type Host, runAs, VirtualClock, WORLD_BEGIN_MS } from './clock.ts'
import { FAULT_NAMES, type FaultName } from './faults.ts'
import { PENDING_PROMISES } from './pending.ts'
import { Simulation } from './simulation.ts'
import { Trace } from './trace.ts'
import type { Promised, Violation } from './violations.ts'
import { installVirtualGlobals } from './virtual-globals.ts'

/** What came of a world. */
export interface WorldResult {
  readonly seed: number
  readonly violations: readonly Violation[]
  /** The same for each run of a seed. */
  readonly digest: string
  /** How long it took in its own time, in milliseconds. */
  readonly virtualMs: number
}

export interface WorldOptions {
  readonly faults?: readonly FaultName[]
  readonly ignored?: readonly Promised[]
  /** Gets every line of the trace, and of the logs. */
  readonly print?: (line: string) => void
}

/** Runs a world; it has the thread for itself meanwhile, since it puts its own clock in the place of the real one. */
export async function runWorld(
  seed: number,
  { faults = FAULT_NAMES, ignored = PENDING_PROMISES, print }: WorldOptions = {},
): Promise<WorldResult> {
  const clock = new VirtualClock()
  const trace = new Trace(clock, print)
  const crashes: Violation[] = []
  const onCrash = (error: unknown): void => {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    crashes.push({ promise: 'crash', detail })
  }
  const restore = installVirtualGlobals(clock, seededRandom(`code ${seed}`))
  process.on('unhandledRejection', onCrash)
  process.on('uncaughtException', onCrash)
  try {
    const log = print && ((host: Host) => tracedLog(trace, host))
    const simulation = new Simulation(seed, clock, trace, { faults, ignored, log })
    // A fault or a check may throw too: that is a failure of this seed, and the next one has a world of its own.
    const run = clock.runUntil(runAs(undefined, () => simulation.run()))
    const violations = await run.catch((error: unknown): Violation[] => {
      onCrash(error)
      return []
    })
    return {
      ...{ seed, violations: [...crashes, ...violations] },
      ...{ digest: trace.digest(), virtualMs: clock.now - WORLD_BEGIN_MS },
    }
  } finally {
    process.off('unhandledRejection', onCrash)
    process.off('uncaughtException', onCrash)
    restore()
  }
}

/** The log of a process, as lines of the trace. */
function tracedLog(trace: Trace, host: Host): Log {
  const line =
    (level: string) =>
    (fields: object, message: string): void => {
      const { err, ...rest } = fields as { err?: unknown }
      const error: ErrorCode | '' = err === undefined ? '' : toTapelineError(err).code
      trace.show(host.name, `${level}: ${message} ${JSON.stringify(rest)} ${error}`)
    }
  const log: Log = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: () => log,
  }
  return log
}
