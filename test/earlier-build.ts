import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The last build that passes over, without a word, what it does not understand, and whose leader deletes topics that it does not know. */
const EARLIER = '334e83c'
const ROOT = fileURLToPath(new URL('../', import.meta.url))

/** Why the earlier build cannot be had, where it cannot: a shallow clone or a tarball has no history. */
export function earlierMissing(): string | undefined {
  try {
    execFileSync('git', ['cat-file', '-e', `${EARLIER}^{commit}`], { cwd: ROOT, stdio: 'ignore' })
    return undefined
  } catch {
    return `there is no commit ${EARLIER} here`
  }
}

/** The earlier build in a folder of its own, with the packages of this one, which has all of them in the same versions. */
export async function checkOutEarlier(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'tapeline-earlier-'))
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 3 })
  try {
    const parts = ['bin', 'src', 'package.json']
    const archive = execFileSync('git', ['archive', EARLIER, ...parts], { cwd: ROOT, maxBuffer: 1 << 28 })
    execFileSync('tar', ['-x', '-C', path], { input: archive })
    await symlink(join(ROOT, 'node_modules'), join(path, 'node_modules'))
    return { path, remove }
  } catch (error) {
    await remove()
    throw error
  }
}
