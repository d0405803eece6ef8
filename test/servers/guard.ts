import { spawn } from 'node:child_process'

/** Watches over a server: whichever way this process ends, the server ends with it. */
export interface Guard {
  /** Stands down: the server has ended already. */
  readonly release: () => void
}

/**
 * A shell that waits for the end of this process, also by `kill -9`: then the pipe between them closes. It kills the
 * server, also a stopped one, and removes the folder.
 */
export function guard(pid: number, folder: string): Guard {
  const script = 'cat >/dev/null; kill -9 "$1"; sleep 1; rm -rf "$2"'
  const shell = spawn('/bin/sh', ['-c', script, 'guard', String(pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  shell.unref()
  return { release: () => shell.kill('SIGKILL') }
}
