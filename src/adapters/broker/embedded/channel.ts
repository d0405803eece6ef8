import { Worker } from 'node:worker_threads'
import { TapelineError } from '../../../errors.ts'
import type { LogFile } from './database.ts'
import { LogServer } from './log-server.ts'
import type { Reply, Request } from './protocol.ts'

/** The way to a log and back. */
export interface Channel {
  /** Sends a request; buffers in `transfer` are handed over. */
  post(request: Request, transfer: readonly ArrayBuffer[]): void
  /** Called once, by whoever uses the channel: where replies go, and the end of the log, with its reason where it was none of ours. */
  listen(onReply: (reply: Reply) => void, onEnd: (cause?: unknown) => void): void
  /** Ends the log at once, whatever it is doing. */
  terminate(): Promise<void>
}

/** Runs the log in this thread: for logs in memory, which cost next to nothing that way. Raises DATA_FOLDER_UNUSABLE. */
export function openDirectChannel(file: LogFile): Channel {
  let reply: (reply: Reply) => void = () => {}
  let end: (cause?: unknown) => void = () => {}
  const server = new LogServer(file, (answer) => reply(answer))
  return {
    post(request) {
      server.receive(request)
      if (request.op === 'close') queueMicrotask(() => end())
    },
    listen(onReply, onEnd) {
      reply = onReply
      end = onEnd
    },
    async terminate() {
      end()
    },
  }
}

/** Runs the log in a worker thread of its own. Raises DATA_FOLDER_UNUSABLE. */
export async function openWorkerChannel(file: LogFile): Promise<Channel> {
  const script = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js'
  const worker = new Worker(new URL(script, import.meta.url), { workerData: file, name: 'broker' })
  const opened = Promise.withResolvers<void>()
  let reply: (reply: Reply) => void = (first) => {
    if ('error' in first) opened.reject(new TapelineError(first.error.code, first.error.message))
    else opened.resolve()
  }
  let end: (cause?: unknown) => void = (cause) => opened.reject(cause)
  let cause: unknown
  worker.on('message', (message: Reply) => reply(message))
  worker.on('error', (error) => {
    cause = error
  })
  worker.on('exit', (code) =>
    end(cause ?? (code === 0 ? undefined : new Error(`the thread ended with code ${code}`))),
  )
  await opened.promise
  return {
    post: (request, transfer) => worker.postMessage(request, transfer),
    listen(onReply, onEnd) {
      reply = onReply
      end = onEnd
    },
    async terminate() {
      await worker.terminate()
    },
  }
}
