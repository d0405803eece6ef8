import type { WebSocket } from 'ws'
import { z } from 'zod'
import { startInterval } from '../async/timers.ts'
import { TapelineError } from '../errors.ts'
import type { EdgeCounts, TransitionFeed, TransitionNews } from '../ports/actors.ts'
import { type Caller, requireOperator } from './guard.ts'
import type { QuotaKeeper } from './quotas.ts'
import { callerIn, type GatewayServer } from './server.ts'
import { closeSockets, revocable, type Sockets } from './sockets.ts'
import type { Visibility } from './visible.ts'

/** Where the steps of the machines are watched. */
const TRANSITIONS_ROUTE = '/v1/actors/transitions'

const PING_MS = 20_000
/** So many watch one process. */
const MOST_WATCHERS = 200
/** A watcher to whom so many bytes are on the way gets nothing more, and a new snapshot when they have left. */
const MOST_WAITING_BYTES = 1024 * 1024

interface Watcher {
  readonly caller: Caller
  /** Whether it missed news, and so needs a snapshot before the next. */
  isBehind: boolean
  /** Pings without an answer. */
  unanswered: number
}

interface TransitionSocketOptions {
  readonly transitions: TransitionFeed
  readonly open: QuotaKeeper['open']
  readonly visible: Pick<Visibility, 'news'>
}

/**
 * Takes WebSockets that watch what the machines do. Each gets `{op: "snapshot"}` with what the machines of this process have done, then
 * `{op: "transitions"}` five times a second at most. The text of a piece of news is made once for all admins, and for each application.
 */
export function registerTransitionSockets(
  app: GatewayServer,
  { transitions, open, visible }: TransitionSocketOptions,
): Sockets {
  const watchers = new Map<WebSocket, Watcher>()
  let watch: { stop(): void } | undefined

  /** What the machines of other processes have done all in all, as far as it was told while somebody watches. */
  const others = new Map<string, EdgeCounts>()

  const greet = (socket: WebSocket, { caller }: Watcher): void => {
    socket.send(JSON.stringify({ op: 'snapshot', ...visible.news(caller, transitions.latest()) }))
    for (const [instance, counts] of others)
      socket.send(JSON.stringify({ op: 'snapshot', instance, transitions: [], skipped: 0, counts }))
  }

  const tell = (news: TransitionNews): void => {
    const { instance, counts } = news
    if (instance !== transitions.instance) others.set(instance, { ...others.get(instance), ...counts })
    const texts = new Map<string, Buffer>()
    const textFor = ({ caller }: Watcher): Buffer => {
      const who = caller.admin ? '' : caller.app
      const known = texts.get(who)
      if (known !== undefined) return known
      const text = Buffer.from(JSON.stringify({ op: 'transitions', ...visible.news(caller, news) }))
      texts.set(who, text)
      return text
    }
    for (const [socket, watcher] of watchers) {
      if (socket.bufferedAmount > MOST_WAITING_BYTES) {
        watcher.isBehind = true
      } else if (watcher.isBehind) {
        watcher.isBehind = false
        greet(socket, watcher)
      } else {
        socket.send(textFor(watcher), { binary: false })
      }
    }
  }

  app.route({
    method: 'GET',
    url: TRANSITIONS_ROUTE,
    schema: {
      operationId: 'watchTransitions',
      summary: 'WebSocket: what the state machines do',
      description:
        'From this machine or with an admin key. JSON text frames: `{"op":"snapshot","instance","transitions":[...],"skipped":0,"counts":{...}}` with the last steps of this process and how often each edge was taken, then `{"op":"transitions",...}` of the same form, five times a second at most, of each process. A step is `{ts, actor, machine, from, event, to}`; counts are by `machine.from.EVENT.to`. `skipped` says how many steps a piece of news leaves out. A slow reader gets a snapshot anew. Steps of the machines of other applications are for admins.',
      tags: ['operations'],
      querystring: z.object({
        key: z.string().optional().describe('An API key, for clients that cannot set headers.'),
      }),
      response: { 101: z.undefined().describe('The WebSocket is open.') },
    },
    config: { isSocket: true, errors: ['UPGRADE_REQUIRED', 'FORBIDDEN', 'QUOTA_EXCEEDED'] },
    preValidation: async (request) => {
      const caller = callerIn(request)
      requireOperator(caller)
      if (watchers.size >= MOST_WATCHERS)
        throw new TapelineError('QUOTA_EXCEEDED', `${MOST_WATCHERS} watch this process already`)
    },
    handler: async (_request, reply) => {
      reply.header('upgrade', 'websocket')
      throw new TapelineError('UPGRADE_REQUIRED', `${TRANSITIONS_ROUTE} is a WebSocket`)
    },
    wsHandler: (socket, request) => {
      const caller = callerIn(request)
      const watcher: Watcher = { caller, isBehind: false, unanswered: 0 }
      watchers.set(socket, watcher)
      watch ??= transitions.watch(tell)
      const gone = open(caller, revocable(socket))
      socket.on('pong', () => {
        watcher.unanswered = 0
      })
      socket.once('error', () => socket.terminate())
      socket.once('close', () => {
        gone()
        watchers.delete(socket)
        if (watchers.size > 0) return
        watch?.stop()
        watch = undefined
        others.clear()
      })
      greet(socket, watcher)
    },
  })

  const pings = startInterval(() => {
    for (const [socket, watcher] of watchers) {
      watcher.unanswered += 1
      if (watcher.unanswered > 2) socket.terminate()
      else socket.ping()
    }
  }, PING_MS)
  app.addHook('onClose', async () => pings.stop())

  return closeSockets(watchers)
}
