import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { toTapelineError } from '../errors.ts'
import { parseModes } from './misbehaviour.ts'

const LARGEST_BODY = 64 * 1024

/** `modes` as a list or with commas; `only: websocket` puts the prefix `ws-` to each mode that has one. */
const Body = z.strictObject({
  modes: z.union([z.array(z.string()), z.string()]),
  only: z.literal('websocket').optional(),
})

/** What the control routes read and change. */
export interface Controlled {
  stats(): object
  modes(): readonly string[]
  misbehave(modes: readonly string[]): void
}

/**
 * The routes that the real service does not have: `GET /stats`, `GET /misbehave` and `POST /misbehave` with
 * `{"modes": ["drop"]}`. They answer in every mode. False where the path is none of them.
 */
export function control(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  of: Controlled,
): boolean {
  if (path === '/stats' && request.method === 'GET') {
    send(response, 200, of.stats())
    return true
  }
  if (path !== '/misbehave') return false
  if (request.method === 'GET') send(response, 200, { modes: of.modes() })
  else if (request.method === 'POST') change(request, response, of)
  else send(response, 405, { error: 'GET or POST' })
  return true
}

function change(request: IncomingMessage, response: ServerResponse, of: Controlled): void {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (part: string) => {
    body += part
    if (body.length > LARGEST_BODY) request.destroy()
  })
  request.on('end', () => {
    try {
      of.misbehave(modesIn(body))
      send(response, 200, { modes: of.modes() })
    } catch (error) {
      const { code, message, remedy } = toTapelineError(error, 'USAGE')
      send(response, 400, { code, error: message, remedy })
    }
  })
}

function modesIn(body: string): readonly string[] {
  const { modes, only } = Body.parse(JSON.parse(body))
  const parsed = parseModes(typeof modes === 'string' ? modes : modes.join(','))
  return only ? parsed.map(limitToWebSocket) : parsed
}

function limitToWebSocket(mode: string): string {
  return /^(drop|stall|close|401|429|babble)$/.test(mode) ? `ws-${mode}` : mode
}

/** Answers in JSON. */
export function send(response: ServerResponse, status: number, body: object, headers = {}): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
  response.end(text)
}
