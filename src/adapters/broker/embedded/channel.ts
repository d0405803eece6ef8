import { type Channel, openThread, type Reply, type Request } from '../../../async/thread.ts'
import type { LogFile } from './database.ts'
import { holdPolls } from './held-polls.ts'
import { LogServer } from './log-server.ts'
import type { Operations } from './protocol.ts'

/** The way to a log and back. */
export type LogChannel = Channel<Request<Operations>>

/** Runs the log in this thread: for logs in memory, which cost next to nothing that way. Raises DATA_FOLDER_UNUSABLE. */
export function openDirectChannel(file: LogFile): LogChannel {
  let reply: (reply: Reply) => void = () => {}
  const server = new LogServer(file, (answer) => reply(answer))
  return {
    post: (request) => server.receive(request),
    listen(onReply) {
      reply = onReply
    },
    async terminate() {},
  }
}

/** Runs the log in a worker thread of its own. Raises DATA_FOLDER_UNUSABLE. */
export async function openWorkerChannel(file: LogFile): Promise<LogChannel> {
  return holdPolls((await openThread<Request<Operations>, null>(import.meta.url, 'broker', file)).channel)
}
