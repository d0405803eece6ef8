import { parentPort, workerData } from 'node:worker_threads'
import { toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import { type Simulator, startSimulator } from './simulator.ts'
import type { LogLevel, SentError, ThreadOptions, ThreadReport, ThreadRequest } from './thread-messages.ts'

/** The thread that `startSimulatorThread` starts: a simulator that is run by messages. */

function report(message: ThreadReport): void {
  parentPort?.postMessage(message)
}

function sendable(thrown: unknown): SentError {
  const { code, message, remedy } = toTapelineError(thrown)
  return { code, message, remedy }
}

function forwardedLog(bindings: object): Log {
  const forward = (level: LogLevel) => (fields: object, message: string) =>
    report({ op: 'log', level, fields: { ...bindings, ...fields }, message })
  return {
    debug: forward('debug'),
    info: forward('info'),
    warn: forward('warn'),
    error: forward('error'),
    child: (more) => forwardedLog({ ...bindings, ...more }),
  }
}

function serve(simulator: Simulator, request: ThreadRequest): Promise<unknown> {
  switch (request.op) {
    case 'stats':
      return simulator.stats()
    case 'misbehave':
      return simulator.misbehave(request.modes)
    case 'close':
      return simulator.close()
  }
}

try {
  const simulator = await startSimulator({ ...(workerData as ThreadOptions), log: forwardedLog({}) })
  parentPort?.on('message', (request: ThreadRequest) => {
    serve(simulator, request)
      .then(
        (value) => report({ op: 'answer', id: request.id, value }),
        (error: unknown) => report({ op: 'failed', id: request.id, error: sendable(error) }),
      )
      .finally(() => {
        // Nothing else keeps the thread once the port is closed.
        if (request.op === 'close') parentPort?.close()
      })
  })
  simulator.done.then(
    () => report({ op: 'done' }),
    (error: unknown) => report({ op: 'broken', error: sendable(error) }),
  )
  const { port, url, websocketUrl } = simulator
  report({ op: 'ready', port, url, websocketUrl })
} catch (error) {
  report({ op: 'refused', error: sendable(error) })
}
