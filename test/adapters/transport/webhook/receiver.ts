import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A message as it arrived. */
interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A receiver of webhooks, as a user writes one: it keeps what arrives, and answers as it is told. */
export interface Receiver {
  readonly url: string
  readonly port: number
  readonly received: readonly Received[]
  /** How it answers from now on; 200 at first. */
  answer(by: (response: ServerResponse, received: Received) => void): void
  /** Resolves when something holds that changes only as messages arrive. */
  until(holds: (received: readonly Received[]) => boolean): Promise<void>
  close(): Promise<void>
}

export async function startReceiver(port = 0, host = '127.0.0.1'): Promise<Receiver> {
  const received: Received[] = []
  const waiting = new Set<{ holds: (received: readonly Received[]) => boolean; resolve: () => void }>()
  let answer = (response: ServerResponse, _received: Received): void => {
    response.end()
  }
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => undefined)
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const message = { headers: request.headers, body: Buffer.concat(chunks).toString() }
    received.push(message)
    answer(response, message)
    for (const waiter of waiting) if (waiter.holds(received) && waiting.delete(waiter)) waiter.resolve()
  }).listen(port, host)
  await once(server, 'listening')
  const address = server.address() as AddressInfo
  return {
    url: `http://${host}:${address.port}/hook`,
    port: address.port,
    received,
    answer(by) {
      answer = by
    },
    async until(holds) {
      if (!holds(received)) await new Promise<void>((resolve) => waiting.add({ holds, resolve }))
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
