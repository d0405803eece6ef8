import type { WindowStep } from '../../domain/open-windows.ts'
import type { Progress } from './route.ts'

/** What a derivation does to the windows of streams. It holds once the records that it makes are acknowledged. */
export class WindowSteps {
  readonly #steps = new Map<Progress, { readonly windows: Progress['windows']; readonly step: WindowStep }>()

  /** The step of a stream in a shard; undefined where the stream has no windows. */
  of(progress: Progress | undefined): WindowStep | undefined {
    if (progress?.windows === undefined) return undefined
    const found = this.#steps.get(progress)
    if (found !== undefined) return found.step
    const step = progress.windows.begin()
    this.#steps.set(progress, { windows: progress.windows, step })
    return step
  }

  /** The step of this stream holds; gives how many events came too late for their windows. */
  commit(progress: Progress): number {
    const found = this.#steps.get(progress)
    // A stream that began anew meanwhile has other windows.
    if (found === undefined || found.windows !== progress.windows) return 0
    found.step.commit()
    this.#steps.delete(progress)
    return found.step.late
  }

  /** The steps of all streams that are level with the fixed topics hold; gives how many events came too late. */
  commitLevel(): number {
    let late = 0
    for (const progress of [...this.#steps.keys()])
      if (progress.behind === undefined) late += this.commit(progress)
    return late
  }
}
