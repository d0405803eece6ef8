import { parentPort, workerData } from 'node:worker_threads'
import { type Reply, type Request, sentError } from '../../../async/thread.ts'
import { toTapelineError } from '../../../errors.ts'
import type { LogFile } from './database.ts'
import { LogServer } from './log-server.ts'
import type { Operations } from './protocol.ts'

/** The thread of the log. Its first message says whether the log is open. */

const port = parentPort
if (port === null) throw new Error('This file runs in a worker thread.')
const send = (reply: Reply, transfer: ArrayBuffer[]): void => port.postMessage(reply, transfer)
try {
  const file: LogFile = workerData
  const server = new LogServer(file, send)
  port.on('message', (request: Request<Operations>) => server.receive(request))
  send({ id: 0, value: null }, [])
} catch (error) {
  send({ id: 0, error: sentError(toTapelineError(error)) }, [])
}
