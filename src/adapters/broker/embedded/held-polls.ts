import type { Channel, Reply, Request } from '../../../async/thread.ts'
import { startTimer, type Timer } from '../../../async/timers.ts'
import { changesLog, type Operations } from './protocol.ts'
import { ReadSessions } from './read-sessions.ts'

type LogRequest = Request<Operations>

/** A poll that is not sent yet. */
interface HeldPoll {
  readonly request: Request<Operations, 'poll'>
  readonly timer: Timer
  /** performance.now */
  readonly endsAt: number
}

/**
 * Spares the thread of a log polls that would find nothing: those of a reader that has read everything, until this process changes what
 * it reads, since nobody else has the log. Such a poll is sent along with that change, which wakes the thread anyway; where none comes while
 * it waits, it is answered here.
 */
export function holdPolls(channel: Channel<LogRequest>): Channel<LogRequest> {
  const sessions = new ReadSessions()
  /** The session of each poll that was sent. */
  const asked = new Map<number, number>()
  /** By session: a reader polls one at a time. */
  const held = new Map<number, HeldPoll>()
  let changes = 0
  let hear = (_reply: Reply): void => {}

  const drop = (session: number): HeldPoll | undefined => {
    const poll = held.get(session)
    poll?.timer.stop()
    held.delete(session)
    return poll
  }

  const dropAll = (): void => {
    for (const session of [...held.keys()]) drop(session)
  }

  const answerHeld = (session: number): void => {
    const poll = drop(session)
    if (poll === undefined) return
    const value: Operations['poll']['reply'] = { fetches: [], data: new ArrayBuffer(0), readUpTo: changes }
    hear({ id: poll.request.id, value })
  }

  const postPoll = (request: Request<Operations, 'poll'>): void => {
    const { id, args } = request
    const { session, waitMs } = args
    // The thread refuses a second one.
    if (waitMs > 0 && sessions.hasReadAll(session) && !held.has(session)) {
      const timer = startTimer(() => answerHeld(session), waitMs)
      held.set(session, { request, timer, endsAt: performance.now() + waitMs })
      return
    }
    release([session])
    asked.set(id, session)
    channel.post(request, [])
  }

  const release = (of: Iterable<number>): void => {
    for (const session of of) {
      const poll = drop(session)
      if (poll === undefined) continue
      const { request, endsAt } = poll
      asked.set(request.id, session)
      const waitMs = Math.max(0, endsAt - performance.now())
      channel.post({ ...request, args: { ...request.args, waitMs } }, [])
    }
  }

  /** Those that a request may give something to read, or ends. */
  const concerned = (request: LogRequest): Iterable<number> => {
    if (request.op === 'append') return sessions.readersOf(request.args.entries)
    if (request.op === 'deleteTopics' || request.op === 'close') return sessions.all()
    return request.args !== undefined && 'session' in request.args ? [request.args.session] : []
  }

  const takeNote = (reply: Reply): void => {
    const session = asked.get(reply.id)
    if (session === undefined) return
    asked.delete(reply.id)
    if ('error' in reply) return
    sessions.read(session, (reply.value as Operations['poll']['reply']).readUpTo)
  }

  return {
    post(request, transfer) {
      if (request.op === 'poll') return postPoll(request)
      if (request.op === 'cancelPoll') {
        const { session, poll } = request.args
        if (held.get(session)?.request.id === poll) return answerHeld(session)
        asked.delete(poll)
      }
      if (changesLog(request.op)) changes++
      const of = new Set(concerned(request))
      release(of)
      for (const session of of) sessions.change(session, changes)
      sessions.follow(request)
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
