import type { Channel, Reply, Request } from '../../../async/thread.ts'
import { startTimer, type Timer } from '../../../async/timers.ts'
import { changesLog, type Operations } from './protocol.ts'

type LogRequest = Request<Operations>

/** A poll that is not sent yet. */
interface HeldPoll {
  readonly request: Request<Operations, 'poll'>
  readonly timer: Timer
  /** performance.now */
  readonly endsAt: number
}

/**
 * Spares the thread of a log polls that would find nothing: those of a reader that has read everything, until this process changes the
 * log, since nobody else has it. Such a poll is sent along with the next request, which wakes the thread anyway; where none comes while it waits,
 * it is answered here.
 */
export function holdPolls(channel: Channel<LogRequest>): Channel<LogRequest> {
  /** The changes after which nothing was left to read, by session. */
  const readUpTo = new Map<number, number>()
  /** The session of each poll that was sent. */
  const asked = new Map<number, number>()
  const held = new Map<number, HeldPoll>()
  let changes = 0
  let hear = (_reply: Reply): void => {}

  const drop = (id: number): boolean => {
    held.get(id)?.timer.stop()
    return held.delete(id)
  }

  const dropAll = (): void => {
    for (const id of [...held.keys()]) drop(id)
  }

  const answerHeld = (id: number): void => {
    if (!drop(id)) return
    const value: Operations['poll']['reply'] = { fetches: [], data: new ArrayBuffer(0), readUpTo: changes }
    hear({ id, value })
  }

  const postPoll = (request: Request<Operations, 'poll'>): void => {
    const { id, args } = request
    if (args.waitMs > 0 && readUpTo.get(args.session) === changes) {
      const timer = startTimer(() => answerHeld(id), args.waitMs)
      held.set(id, { request, timer, endsAt: performance.now() + args.waitMs })
      return
    }
    readUpTo.delete(args.session)
    asked.set(id, args.session)
    channel.post(request, [])
  }

  const release = (): void => {
    for (const [id, { request, endsAt }] of held) {
      drop(id)
      asked.set(id, request.args.session)
      const waitMs = Math.max(0, endsAt - performance.now())
      channel.post({ ...request, args: { ...request.args, waitMs } }, [])
    }
  }

  const takeNote = (reply: Reply): void => {
    const session = asked.get(reply.id)
    if (session === undefined) return
    asked.delete(reply.id)
    if ('error' in reply) return
    const { readUpTo: upTo } = reply.value as Operations['poll']['reply']
    if (upTo !== undefined) readUpTo.set(session, upTo)
  }

  return {
    post(request, transfer) {
      if (request.op === 'poll') return postPoll(request)
      if (request.op === 'cancelPoll' && held.has(request.args.poll)) return answerHeld(request.args.poll)
      if (request.op === 'cancelPoll') asked.delete(request.args.poll)
      release()
      // What a session is told may give it something to read, or ends it.
      if (request.args !== undefined && 'session' in request.args) readUpTo.delete(request.args.session)
      if (changesLog(request.op)) changes++
      channel.post(request, transfer)
    },
    listen(onReply, onEnd) {
      hear = onReply
      channel.listen(
        (reply) => {
          takeNote(reply)
          onReply(reply)
        },
        (cause) => {
          dropAll()
          onEnd(cause)
        },
      )
    },
    terminate() {
      dropAll()
      return channel.terminate()
    },
  }
}
