import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

const LOOK_MS = 50
/** Nothing takes longer to make: the number of who made it may be another process's by now. */
const LONGEST_MS = 360_000

/**
 * A folder that processes share and one of them makes, while the others wait: what costs seconds is not done by all at once. It is made
 * aside and renamed, so that nobody sees half of one.
 */
export async function madeOnce(folder: string, make: (aside: string) => Promise<void>): Promise<string> {
  while (!existsSync(folder)) {
    const lock = `${folder}.lock`
    if (!takeLock(lock)) {
      await delay(LOOK_MS)
      continue
    }
    const aside = await mkdtemp(`${folder}-part-`)
    try {
      await make(aside)
      await rename(aside, folder)
    } catch (error) {
      await rm(aside, { recursive: true, force: true })
      if (!existsSync(folder)) throw error
    } finally {
      rmSync(lock, { force: true })
    }
  }
  return folder
}

/** Whether the lock is ours now. That of a process which was killed is taken away, for the next look. */
function takeLock(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  if (!isHeld(path)) rmSync(path, { force: true })
  return false
}

function isHeld(path: string): boolean {
  try {
    if (Date.now() - statSync(path).mtimeMs > LONGEST_MS) return false
    const holder = Number(readFileSync(path, 'utf8'))
    // Between its beginning and its content a lock is empty.
    if (holder > 0) process.kill(holder, 0)
    return true
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') return true
    if (code === 'ESRCH') return false
    if (code === 'EPERM') return true
    throw error
  }
}
