import { fileURLToPath } from 'node:url'
import { kafkaMissing, prepareKafka } from './servers/kafka.ts'
import { keepServers } from './servers/shared.ts'

let servers: Awaited<ReturnType<typeof keepServers>> | undefined

/**
 * Before a run of many files: Node keeps what it has compiled of the sources, for all processes that the run starts. Each of them loads
 * most of the platform, which takes longer than most tests. Files that can share servers find them.
 */
export async function globalSetup(): Promise<void> {
  process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(
    new URL('../node_modules/.cache/compiled', import.meta.url),
  )
  servers = await keepServers()
  // Meanwhile files run that need no broker. Whoever starts one says what went wrong.
  if (kafkaMissing() === undefined) void prepareKafka().catch(() => undefined)
}

export async function globalTeardown(): Promise<void> {
  await servers?.close()
}
