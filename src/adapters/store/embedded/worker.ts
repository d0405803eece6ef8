import { parentPort, workerData } from 'node:worker_threads'
import { type Reply, type Request, sentError } from '../../../async/thread.ts'
import { toTapelineError } from '../../../errors.ts'
import { candles, quotes, trades } from '../market-queries.ts'
import { markets } from '../markets.ts'
import { migrate } from '../migrate.ts'
import { claim } from '../offsets.ts'
import { readOnlyQuery } from '../read-only-query.ts'
import { SessionLostError } from '../session.ts'
import { write } from '../write.ts'
import { fullOr } from './disk.ts'
import { compileProgram, type Engine, openEngine } from './engine.ts'
import { prepareFolder } from './folder.ts'
import { Maintenance } from './maintenance.ts'
import type { OperationName, Operations, WorkerSettings } from './protocol.ts'
import { longerChunks } from './sparse-chunks.ts'

/**
 * The thread that holds the database. It does one thing at a time, in the order of the requests; whoever started it sends
 * the next only when the last is answered.
 */
if (parentPort === null) throw new Error('This file runs as a worker thread.')
const port = parentPort
const settings: WorkerSettings = workerData

type Handlers = {
  [K in OperationName]: (args: Operations[K]['args']) => Promise<Operations[K]['reply']>
}

function handlersOf(engine: Engine): Handlers {
  const maintenance = new Maintenance(engine)
  if (settings.maintained) maintenance.begin(settings.policies)
  return {
    async migrate() {
      const report = await migrate(engine, settings.policies)
      maintenance.begin(settings.policies)
      return report
    },
    claim: (targets) => claim(engine, targets),
    async write(plan) {
      await write(engine, plan, await longerChunks(engine, plan, settings.policies))
      maintenance.wrote(plan.rows)
    },
    trades: (query) => trades(engine, query),
    quotes: (query) => quotes(engine, query),
    candles: (query) => candles(engine, query),
    markets: (query) => markets(engine, query),
    query: (query) => readOnlyQuery(engine, query),
    maintain: async ({ load }) => ({
      ...(await maintenance.step(load)),
      memoryBytes: engine.memoryBytes,
    }),
    async close() {
      await maintenance.finish()
      await engine.close()
    },
  }
}

function handle<K extends OperationName>(
  handlers: Handlers,
  request: Request<Operations, K>,
): Promise<Operations[K]['reply']> {
  return handlers[request.op](request.args)
}

function send(reply: Reply): void {
  port.postMessage(reply)
}

async function answer(engine: Engine, handlers: Handlers, request: Request<Operations>): Promise<void> {
  const { id } = request
  try {
    send({ id, value: await handle(handlers, request) })
  } catch (error) {
    const ended = error instanceof SessionLostError || engine.lost
    const coded = toTapelineError(error, ended ? 'STORE_UNAVAILABLE' : 'INTERNAL')
    const told = ended ? await fullOr(settings.folder, coded) : coded
    send({ id, error: sentError(told), ended })
  }
}

try {
  const { directory, isNew, complete } = await prepareFolder(settings.folder)
  const program = settings.program ?? (await compileProgram())
  const engine = await openEngine(program, directory, isNew)
  if (isNew) await complete()
  const handlers = handlersOf(engine)
  port.on('message', (request: Request<Operations>) => void answer(engine, handlers, request))
  send({ id: 0, value: program })
} catch (error) {
  const coded = toTapelineError(error, 'STORE_UNAVAILABLE')
  send({ id: 0, error: sentError(await fullOr(settings.folder, coded)) })
}
