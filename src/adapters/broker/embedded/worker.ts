import { parentPort, workerData } from 'node:worker_threads'
import { toTapelineError } from '../../../errors.ts'
import type { LogFile } from './database.ts'
import { LogServer } from './log-server.ts'
import type { Reply, Request } from './protocol.ts'

// The thread of the log. Its first message says whether the log is open; after the reply to `close` it ends.

const port = parentPort
if (port === null) throw new Error('This file runs in a worker thread.')
const send = (reply: Reply, transfer: ArrayBuffer[]): void => port.postMessage(reply, transfer)
try {
  const file: LogFile = workerData
  const server = new LogServer(file, send)
  port.on('message', (request: Request) => {
    server.receive(request)
    if (request.op === 'close') port.close()
  })
  send({ id: 0, value: null }, [])
} catch (error) {
  const { code, message } = toTapelineError(error)
  send({ id: 0, error: { code, message } }, [])
}
