import assert from 'node:assert/strict'
import { get, type IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'

/** An event of a stream, as a client sees it. */
interface ReceivedEvent {
  readonly id: string | undefined
  readonly data: Record<string, unknown>
}

export interface EventClient {
  readonly response: IncomingMessage
  /** The next event; undefined where the stream has ended. */
  next(): Promise<ReceivedEvent | undefined>
  close(): void
}

/** Reads a stream of server-sent events by the rules of the standard, as far as the platform uses it. It is cut when the test ends. */
export async function openEvents(
  context: Pick<TestContext, 'after'>,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventClient> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers, agent: false }, resolve).once('error', reject)
  })
  assert.equal(response.statusCode, 200)
  assert.match(response.headers['content-type'] ?? '', /^text\/event-stream/)
  response.on('error', () => {})
  context.after(() => response.destroy())
  const events = eventsOf(response)
  return {
    response,
    next: async () => (await events.next()).value ?? undefined,
    close: () => response.destroy(),
  }
}

async function* eventsOf(response: IncomingMessage): AsyncGenerator<ReceivedEvent, undefined> {
  let [id, data]: [string | undefined, string] = [undefined, '']
  let rest = ''
  for await (const chunk of response.setEncoding('utf8')) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('id: ')) id = line.slice(4)
      else if (line.startsWith('data: ')) data += line.slice(6)
      else if (line === '' && data !== '') {
        yield { id, data: JSON.parse(data) }
        ;[id, data] = [undefined, '']
      } else assert.ok(line === '' || line.startsWith(':'), `not of the format: ${line}`)
    }
  }
  return undefined
}
