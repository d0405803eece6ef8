import { fileURLToPath } from 'node:url'

/**
 * Before a run of many files: Node keeps what it has compiled of the sources, for all processes that the run starts. Each of them loads
 * most of the platform, which takes longer than most tests.
 */
export function globalSetup(): void {
  process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(
    new URL('../node_modules/.cache/compiled', import.meta.url),
  )
}
