import { once } from 'node:events'
import { WebSocket } from 'ws'
import { batchesOf } from '../trades.ts'

/** So many streams one socket reads; a gateway allows 1,000. */
const STREAMS_A_SOCKET = 500
/** So many requests for streams are under way at once. */
const REQUESTS = 100
const MOST_ATTEMPTS = 10

interface ServerMessage {
  readonly op: string
  readonly stream?: string
  readonly message?: string
  readonly events?: readonly { readonly ts: number }[]
}

/** Makes streams, and gives their ids. */
export async function createStreams(api: string, specs: readonly unknown[]): Promise<string[]> {
  const ids: string[] = []
  for (const portion of batchesOf(specs, REQUESTS))
    ids.push(...(await Promise.all(portion.map((spec) => createStream(api, spec)))))
  return ids
}

/** Asks again while a coordinator has no time, as applications do: a server may take long for a hundred topics. */
async function createStream(api: string, spec: unknown): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`${api}/v1/streams`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(spec),
    })
    if (response.ok) return ((await response.json()) as { readonly id: string }).id
    const text = await response.text()
    if (![503, 504].includes(response.status) || attempt === MOST_ATTEMPTS)
      throw new Error(`${response.status} ${text}`)
  }
}

/** Applications that read streams over as few sockets as they may. */
export class Readers {
  readonly #sockets: WebSocket[] = []
  /** The time of the last event of each stream, in microseconds. */
  readonly #last = new Map<string, number>()

  /** Reads these from what comes next; resolves when the platform reads them too. */
  async read(api: string, ids: readonly string[]): Promise<void> {
    const portions = batchesOf(ids, STREAMS_A_SOCKET)
    await Promise.all(portions.map((portion) => this.#open(api, portion)))
  }

  /** How many streams have brought an event that is younger than this, in microseconds. */
  servedSince(ts: number): number {
    let count = 0
    for (const last of this.#last.values()) if (last >= ts) count++
    return count
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.terminate()
  }

  async #open(api: string, ids: readonly string[]): Promise<void> {
    const socket = new WebSocket(`${api.replace(/^http/, 'ws')}/v1/ws`)
    this.#sockets.push(socket)
    let waiting = ids.length
    const subscribed = new Promise<void>((resolve, reject) => {
      socket.on('message', (bytes) => {
        const { op, stream = '', events = [], message } = JSON.parse(String(bytes)) as ServerMessage
        if (op === 'error') reject(new Error(message))
        if (op === 'subscribed' && --waiting === 0) resolve()
        const last = events.at(-1)
        if (last !== undefined) this.#last.set(stream, last.ts)
      })
      socket.on('error', reject)
    })
    await once(socket, 'open')
    for (const stream of ids) socket.send(JSON.stringify({ op: 'subscribe', stream }))
    await subscribed
  }
}
