import { createActor, setup } from 'xstate'
import { createTransitionHub } from '../../src/telemetry/transition-hub.ts'
import { observeTransitions } from '../../src/telemetry/transitions.ts'
import { median } from '../bench.ts'

const ROUNDS = 7
const STEPS = 50_000

/** A machine that steps and does nothing. */
const stepping = setup({ types: { events: {} as { readonly type: 'GO' } } }).createMachine({
  id: 'producer',
  initial: 'idle',
  states: { idle: { on: { GO: 'fetchingData' } }, fetchingData: { on: { GO: 'idle' } } },
})

/** Processor time of a step in microseconds: with what tells of it and keeps it, which nobody watches, and without. */
export async function stepMicros(): Promise<{ readonly watched: number; readonly bare: number }> {
  const watched: number[] = []
  const bare: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(measure({}))
    watched.push(measure({ inspect: observer() }))
  }
  return { watched: median(watched), bare: median(bare) }
}

function observer() {
  const hub = createTransitionHub('bench')
  const nothing = (): void => undefined
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => log }
  return observeTransitions({
    ...{ actor: 'producer', machine: 'producer', log },
    now: () => performance.timeOrigin + performance.now(),
    onTransition: hub.record,
  })
}

function measure(options: Parameters<typeof createActor>[1]): number {
  const actor = createActor(stepping, options).start()
  const before = process.threadCpuUsage()
  for (let step = 0; step < STEPS; step++) actor.send({ type: 'GO' })
  const { user, system } = process.threadCpuUsage(before)
  actor.stop()
  return (user + system) / STEPS
}
