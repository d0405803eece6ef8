import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** What a receiver of alerts was told. */
export interface AlertMessages {
  readonly url: string
  /** Each line, in its order. */
  readonly messages: readonly string[]
  /** The alerts whose end it was not told. */
  lasting(): readonly { readonly id: string; readonly code: string }[]
  close(): void
}

/** Takes alerts as a Slack webhook does. */
export async function listenForAlerts(): Promise<AlertMessages> {
  const messages: string[] = []
  const alerts = new Map<string, string>()
  const server = createServer(async (request, response) => {
    const lines = (JSON.parse(await text(request)) as { text: string }).text.split('\n')
    messages.push(...lines)
    for (const line of lines) {
      const id = /^Tapeline alert (\S+) on/.exec(line)?.[1] ?? ''
      if (line.includes(' is over since ')) alerts.delete(id)
      else alerts.set(id, /errors[^)]*?([A-Z][A-Z_]+)\)$/i.exec(line)?.[1]?.toUpperCase() ?? line)
    }
    response.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    messages,
    lasting: () => [...alerts].map(([id, code]) => ({ id, code })),
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
