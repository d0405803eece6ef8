import { once } from 'node:events'
import { WebSocket } from 'ws'

interface News {
  readonly op: 'snapshot' | 'transitions'
  readonly transitions: readonly unknown[]
  readonly skipped: number
  readonly counts: Readonly<Record<string, number>>
}

interface Watcher {
  readonly socket: WebSocket
  /** How often each edge was taken before it watched, and what it was told last. */
  readonly before: Record<string, number>
  latest: Record<string, number>
  steps: number
}

/** WebSockets that watch the machines, and check that they are told of each step: by the counts, which count all. */
export class Watchers {
  #watchers: Watcher[] = []
  /** Steps that the first of them was told of. */
  seen = 0
  /** Steps that any of them was not told of. */
  lost = 0

  async open(api: string, many: number): Promise<void> {
    for (let i = 0; i < many; i++) {
      const socket = new WebSocket(`${api.replace('http', 'ws')}/v1/actors/transitions`)
      const watcher: Watcher = { socket, before: {}, latest: {}, steps: 0 }

      socket.on('message', (data: Buffer) => take(watcher, JSON.parse(data.toString()) as News))
      await once(socket, 'open')
      this.#watchers.push(watcher)
    }
  }

  async close(): Promise<void> {
    const watchers = this.#watchers
    this.#watchers = []
    this.seen += watchers[0]?.steps ?? 0
    for (const { socket, before, latest, steps } of watchers) {
      const taken = Object.entries(latest).reduce(
        (all, [edge, count]) => all + count - (before[edge] ?? 0),
        0,
      )
      // What was counted when it began to watch may be told after that.
      this.lost += Math.max(0, taken - steps)
      const closed = once(socket, 'close')
      socket.close()
      await closed
    }
  }
}

function take(watcher: Watcher, { op, transitions, counts }: News): void {
  if (op === 'snapshot') {
    Object.assign(watcher.before, counts)
    Object.assign(watcher.latest, counts)
  } else {
    watcher.steps += transitions.length
    Object.assign(watcher.latest, counts)
  }
}
