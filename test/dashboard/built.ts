import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { madeOnce } from '../made-once.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BUILT = join(ROOT, 'dist/dashboard')

/**
 * Builds the page of these sources where the gateway looks for it, once for all files that want it. A folder for each state of the sources is
 * kept beside, so that nobody takes an older one for it.
 */
export async function buildPage(): Promise<string> {
  const folder = join(ROOT, 'node_modules/.cache/dashboard', stateOfSources())
  mkdirSync(join(folder, '..'), { recursive: true })
  await madeOnce(folder, async (aside) => {
    await build({
      root: join(ROOT, 'dashboard'),
      logLevel: 'error',
      build: { outDir: aside, emptyOutDir: true },
    })
  })
  const isThere = existsSync(BUILT) && filesOf(BUILT).join() === filesOf(folder).join()
  if (isThere) return BUILT
  const aside = `${BUILT}-${process.pid}`
  cpSync(folder, aside, { recursive: true })
  rmSync(BUILT, { recursive: true, force: true })
  renameSync(aside, BUILT)
  return BUILT
}

/** The names of built files have the hash of their content. */
function filesOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
}

function stateOfSources(): string {
  const hash = createHash('sha256')
  for (const folder of ['dashboard', 'src/client', 'src/domain', 'src/async']) {
    for (const name of filesOf(join(ROOT, folder)).filter((each) => /\.\w+$/.test(each)))
      hash.update(name).update(readFileSync(join(ROOT, folder, name)))
  }
  return hash.digest('hex').slice(0, 16)
}
