import { Session } from 'node:inspector/promises'

/** So often a sample is taken, in microseconds. */
const INTERVAL_MICROS = 500

/** Where the time of the main thread went. */
export interface ProfiledTime {
  /** In machines: XState, their definitions, and what watches over them. Not in the services that they call. */
  readonly machineMicros: number
  /** In all that is not waiting. */
  readonly busyMicros: number
  readonly samples: number
}

const MACHINES =
  /\/node_modules\/xstate\/|\/src\/machines\/|\/src\/telemetry\/supervise|\/src\/topology\/actors/
const NO_WORK = new Set(['(idle)', '(root)'])

/** Samples the main thread until the returned function is called. */
export async function profileMainThread(): Promise<() => Promise<ProfiledTime>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: INTERVAL_MICROS })
  await session.post('Profiler.start')
  return async () => {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
    const parents = new Map(
      profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
    )
    /** The nearest caller that has a file: what the engine does, it does for that one. */
    const isMachine = (id: number): boolean => {
      for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
        const url = nodes.get(at)?.callFrame.url ?? ''
        if (url.startsWith('file:')) return MACHINES.test(url)
      }
      return false
    }
    let [machineMicros, busyMicros, samples] = [0, 0, 0]
    for (const [i, id] of (profile.samples ?? []).entries()) {
      if (NO_WORK.has(nodes.get(id)?.callFrame.functionName ?? '')) continue
      const micros = profile.timeDeltas?.[i] ?? 0
      samples++
      busyMicros += micros
      if (isMachine(id)) machineMicros += micros
    }
    return { machineMicros, busyMicros, samples }
  }
}
