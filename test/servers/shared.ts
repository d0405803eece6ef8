import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { type KafkaServer, startKafka } from './kafka.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'

/** The environment variable in which the files of a run find who keeps the servers that they share: a port of this machine. */
export const KEEPER = 'TEST_SERVERS_PORT'

/** How long a server waits for the next file. An idle Kafka uses 7 % of a core, a new one 3 s of it. */
const UNUSED_MS = 20_000

/** What a file sees of a server that others use at the same time: nobody stops it or changes its settings. */
interface SharedServers {
  readonly kafka: Pick<KafkaServer, 'bootstrap' | 'data'>
  readonly postgres: Pick<PostgresServer, 'url' | 'port'>
}

type Kind = keyof SharedServers

/** `close` lets go of it; a server of the file's own ends. */
type Shared<K extends Kind> = SharedServers[K] & { readonly close: () => Promise<void> }

export type SharedKafka = Shared<'kafka'>

const START: { readonly [K in Kind]: () => Promise<Shared<K>> } = {
  kafka: () => startKafka(),
  postgres: () => startPostgres(),
}

/** Kafka for files that use topics, groups and ids of their own: one for the whole run, or the file's own where it runs alone. */
export const shareKafka = (): Promise<SharedKafka> => share('kafka')

/** The same of PostgreSQL, for files that use databases of their own. */
export const sharePostgres = (): Promise<Shared<'postgres'>> => share('postgres')

async function share<K extends Kind>(kind: K): Promise<Shared<K>> {
  const port = process.env[KEEPER]
  if (port === undefined) return START[kind]()
  // It is held as long as the connection is there, so that a file that is killed lets go too.
  const socket = connect(Number(port), '127.0.0.1')
  socket.write(`${kind}\n`)
  const [line] = (await once(createInterface(socket), 'line')) as [string]
  socket.unref()
  const answer = JSON.parse(line) as { readonly server: SharedServers[K] } | { readonly failure: string }
  if ('failure' in answer) {
    socket.destroy()
    throw new Error(answer.failure)
  }
  return { ...answer.server, close: async () => void socket.destroy() }
}

/** Keeps the servers that test files share: one is started for the first that asks, and ends when nobody wants it any more. */
export async function keepServers(): Promise<{ readonly close: () => Promise<void> }> {
  const kept = new Map<Kind, Kept>()
  const keeper = createServer((socket) => {
    socket.unref()
    socket.on('error', () => undefined)
    createInterface(socket).once('line', (line) => {
      const kind = line as Kind
      const server = kept.get(kind) ?? new Kept(START[kind], () => kept.delete(kind))
      kept.set(kind, server)
      void server.giveTo(socket)
    })
  }).listen(0, '127.0.0.1')
  await once(keeper, 'listening')
  keeper.unref()
  const address = keeper.address()
  if (address === null || typeof address === 'string') throw new Error('the keeper of servers has no port')
  process.env[KEEPER] = String(address.port)
  return {
    async close() {
      keeper.close()
      await Promise.all([...kept.values()].map((server) => server.end()))
    },
  }
}

/** A server that runs, and who holds it. */
class Kept {
  readonly #server: Promise<Shared<Kind>>
  readonly #onEnd: () => void
  #holders = 0
  #unused: NodeJS.Timeout | undefined

  constructor(start: () => Promise<Shared<Kind>>, onEnd: () => void) {
    this.#server = start()
    this.#onEnd = onEnd
  }

  async giveTo(socket: Socket): Promise<void> {
    clearTimeout(this.#unused)
    this.#holders++
    socket.once('close', () => {
      this.#holders--
      if (this.#holders === 0) this.#unused = setTimeout(() => void this.end(), UNUSED_MS).unref()
    })
    const answer = await this.#server.then(
      ({ close: _close, ...server }) => ({ server }),
      (error: unknown) => ({ failure: String(error) }),
    )
    socket.write(`${JSON.stringify(answer)}\n`)
  }

  async end(): Promise<void> {
    clearTimeout(this.#unused)
    this.#onEnd()
    const server = await this.#server.catch(() => undefined)
    await server?.close()
  }
}
