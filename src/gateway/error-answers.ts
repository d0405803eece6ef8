import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { TapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import { errorOf, excerpt, PROBLEM_MEDIA_TYPE, problemOf } from './problem.ts'
import type { GatewayServer } from './server.ts'

/** When to ask again after a limit, in seconds: leases and sockets end by themselves in about such times. */
const RETRY_LATER_S = '10'

/** What a person or a program has to end first, or what passes only slowly. */
const WANTS_ROOM: ReadonlySet<string> = new Set(['OVERLOADED', 'LIMIT_REACHED'])

/** Answers errors of routes, and requests for what is not there, with problem documents. Call it before any route. */
export function answerErrors(app: GatewayServer, log: Log): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = errorOf(thrown, (field) => partOf(request, field))
    const fields = { err: error, method: request.method, route: request.routeOptions.url }
    if (error.code === 'INTERNAL') log.error(fields, 'request failed by a defect')
    else if (error.status >= 500) log.debug(fields, 'request failed')
    return sendProblem(error, reply)
  })
  const methodsOf = learnMethods(app)
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request)
    const methods = methodsOf(path)
    if (methods.length === 0) {
      return sendProblem(new TapelineError('NOT_FOUND', `there is nothing at ${path}`), reply)
    }
    reply.header('allow', methods.join(', '))
    const message = `${path} does not take ${request.method}`
    return sendProblem(new TapelineError('METHOD_NOT_ALLOWED', message), reply)
  })
}

/** Learns all routes, so that a path that exists with other methods is told from one that does not. It has to come before any route. */
function learnMethods(app: GatewayServer): (path: string) => readonly string[] {
  const routes: { pattern: RegExp; methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(`^${url.replace(/:\w+/g, '[^/]+')}$`)
    routes.push({ pattern, methods: [method].flat() })
  })
  return (path) => {
    const matching = routes.filter(({ pattern }) => pattern.test(path))
    return [...new Set(matching.flatMap(({ methods }) => methods))]
  }
}

/** The path of a request in a bounded form, without its query: that may hold a key. */
export function pathOf(request: FastifyRequest): string {
  return excerpt(request.url.split('?', 1)[0] ?? '')
}

function partOf(request: FastifyRequest, field: string): unknown {
  if (field === '(body)') return `${request.headers['content-length'] ?? 'unknown'} bytes`
  return request.headers[field] ?? null
}

/** Answers with the problem document of an error, and says when to ask again. */
export function sendProblem(error: TapelineError, reply: FastifyReply): FastifyReply {
  if (error.code === 'UNAUTHORIZED') reply.header('www-authenticate', 'Bearer')
  if (error.status === 503) reply.header('retry-after', WANTS_ROOM.has(error.code) ? RETRY_LATER_S : '1')
  if (error.status === 429 && error.retryable) reply.header('retry-after', RETRY_LATER_S)
  // As text: the framework would add a charset, which this media type does not have.
  return reply
    .code(error.status)
    .header('content-type', PROBLEM_MEDIA_TYPE)
    .serializer(String)
    .send(JSON.stringify(problemOf(error)))
}

/** Statuses for what Node's parser refuses before there is a request. */
const MALFORMED: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

/** Answers what Node's parser refuses: there is no request then, and the connection ends. */
export function answerMalformed(failure: Error & { code?: string }, socket: Socket): void {
  const isHttp = failure.code === undefined || /^(HPE|ERR_HTTP)_/.test(failure.code)
  if (!socket.writable || !isHttp) {
    socket.destroy()
    return
  }
  const error = new TapelineError('INPUT_INVALID', `the request is not acceptable HTTP: ${failure.message}`)
  const problem = problemOf(error, MALFORMED[failure.code ?? ''] ?? 400)
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} Refused\r\nconnection: close\r\ncontent-type: ${PROBLEM_MEDIA_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}
