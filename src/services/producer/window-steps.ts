import type { WindowStep } from '../../domain/open-windows.ts'
import type { Meter } from '../../ports/log.ts'
import type { Progress } from './route.ts'

/** What a derivation does to the windows of streams. It holds once the records that it makes are acknowledged. */
export class WindowSteps {
  readonly #meter: Pick<Meter, 'count'>
  readonly #steps = new Map<Progress, { readonly windows: Progress['windows']; readonly step: WindowStep }>()

  constructor(meter: Pick<Meter, 'count'>) {
    this.#meter = meter
  }

  /** The step of a stream in a shard; undefined where the stream has no windows. */
  of(progress: Progress | undefined): WindowStep | undefined {
    if (progress?.windows === undefined) return undefined
    const found = this.#steps.get(progress)
    if (found !== undefined) return found.step
    const step = progress.windows.begin()
    this.#steps.set(progress, { windows: progress.windows, step })
    return step
  }

  /** The step of this stream holds. */
  commit(progress: Progress): void {
    const found = this.#steps.get(progress)
    // A stream that began anew meanwhile has other windows.
    if (found === undefined || found.windows !== progress.windows) return
    found.step.commit()
    this.#steps.delete(progress)
    if (found.step.late > 0) this.#meter.count('late_events_total', found.step.late)
  }

  /** The steps of all streams that are level with the fixed topics hold. */
  commitLevel(): void {
    for (const progress of [...this.#steps.keys()]) if (progress.behind === undefined) this.commit(progress)
  }
}
