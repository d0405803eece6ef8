import module from 'node:module'
import { fileURLToPath } from 'node:url'

const FOLDER = new URL('../node_modules/.cache/compiled', import.meta.url)

/**
 * Has Node keep what it compiles of the sources, for this process, its threads and the next start. A checkout runs its sources as they are, and to
 * read the types out of hundreds of files takes longer than all else that a command does. Where Node cannot write there, it goes on without.
 */
export function keepCompiled() {
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(FOLDER)
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE)
}
