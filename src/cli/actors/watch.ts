import { WebSocket } from 'ws'
import { z } from 'zod'
import { onAbort } from '../../async/abort.ts'
import { startTimer } from '../../async/timers.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import { type ApiClient, problemError } from '../api-client.ts'
import type { Terminal } from '../command.ts'
import { painted } from '../paint.ts'
import { createOutage } from '../tail/outage.ts'

const CONNECT_MS = 10_000
/** The server pings every 20 s: silence for longer than this means that the connection is dead. */
const SILENCE_MS = 60_000

const newsSchema = z.object({
  op: z.enum(['snapshot', 'transitions']),
  instance: z.string(),
  transitions: z.array(
    z.object({
      ts: z.number(),
      actor: z.string(),
      machine: z.string(),
      from: z.string(),
      event: z.string(),
      to: z.string(),
    }),
  ),
  skipped: z.number(),
})

type News = z.output<typeof newsSchema>

interface Watching {
  /** Finds the platform: it may have been started again at another address. Raises NOT_RUNNING. */
  readonly connect: () => ApiClient
  /** One JSON object a line instead of words. */
  readonly json: boolean
  readonly terminal: Terminal
}

/** Prints the steps of the machines as they come, until Ctrl-C. Raises NOT_RUNNING where the first connection fails, and what the platform refuses. */
export async function watchActors(watching: Watching): Promise<void> {
  const { terminal } = watching
  const outage = createOutage(terminal)
  let hasBegun = false
  while (!terminal.signal.aborted) {
    const cut = await readConnection(watching, () => {
      hasBegun = true
      outage.over()
    })
    if (cut === undefined) return
    if (!hasBegun) throw cut
    await outage.wait(cut, terminal.signal)
  }
}

/** Reads one connection to its end: why it was cut, or undefined after Ctrl-C. */
async function readConnection({ connect, json, terminal }: Watching, onBegin: () => void) {
  const ended = Promise.withResolvers<TapelineError | undefined>()
  const off = onAbort(terminal.signal, () => ended.resolve(undefined))
  let socket: WebSocket | undefined
  try {
    socket = openSocket(connect(), ended.resolve, (news) => {
      // What was before is for those who draw it.
      if (news.op === 'snapshot') onBegin()
      else printNews(news, json, terminal)
    })
    return await ended.promise
  } catch (error) {
    return toTapelineError(error)
  } finally {
    off()
    socket?.terminate()
  }
}

function printNews({ transitions, skipped, instance }: News, json: boolean, terminal: Terminal): void {
  if (skipped > 0) terminal.note(`${skipped} more steps of ${instance} are left out`)
  for (const step of transitions) {
    if (json) {
      terminal.print(JSON.stringify(step))
      continue
    }
    const time = new Date(step.ts / 1000).toISOString().slice(11, 23)
    const to = step.to === 'error' ? painted('red', step.to) : step.to
    terminal.print(
      painted('dim', time),
      `  ${step.actor.padEnd(24)}  ${step.from} `,
      painted('dim', step.event),
      ' -> ',
      to,
    )
  }
}

function openSocket(
  { address, headers, tls }: ApiClient,
  onCut: (error: TapelineError) => void,
  onNews: (news: News) => void,
): WebSocket {
  const options = { ...tls, headers, handshakeTimeout: CONNECT_MS }
  const socket = new WebSocket(`${address.replace(/^http/, 'ws')}/v1/actors/transitions`, options)
  const cut = (reason: string): void =>
    onCut(new TapelineError('NOT_RUNNING', `the connection to ${address} ended: ${reason}`))
  const silence = startTimer(() => cut('it was silent'), SILENCE_MS)
  socket.on('ping', () => silence.restart())
  socket.on('message', (data) => {
    silence.restart()
    const news = newsSchema.safeParse(JSON.parse(String(data)))
    if (news.success) onNews(news.data)
  })
  socket.on('unexpected-response', (_request, response) => {
    let text = ''
    response.on('data', (chunk: Buffer) => (text += chunk.toString()))
    response.on('end', () => onCut(problemError(text, address)))
  })
  socket.on('error', (error) => cut(error.message))
  socket.on('close', (code) => {
    silence.stop()
    cut(`code ${code}`)
  })
  return socket
}
