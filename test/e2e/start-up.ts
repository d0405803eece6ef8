import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { makeFolder, runCommand, startCommand } from './platform-process.ts'

/** Passwords of the tests: whatever ends up in an output is found by this piece of them. */
export const SECRET = 's3cret-4711'

/** An authority that has signed nothing here. Its key is not kept anywhere. */
const OTHER_AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBjjCCATWgAwIBAgIUEvKb75B6Lgt7qJ553iLaz8jJT6swCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRYW5vdGhlciBhdXRob3JpdHkwIBcNMjYxMTI0MTAzOTU4WhgP
MjEyNjEwMzExMDM5NThaMBwxGjAYBgNVBAMMEWFub3RoZXIgYXV0aG9yaXR5MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErJsYLNVABTJDxGYd/HnMNuEw0rIjmuXF
N9HkpfhBN6hPj9vIwUahFWQkZETrr9T22G3oNs+RY1AQOM1B4VwHf6NTMFEwHQYD
VR0OBBYEFNj7S2aKCMYyAvadH3c7WIs6HHTNMB8GA1UdIwQYMBaAFNj7S2aKCMYy
AvadH3c7WIs6HHTNMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIg
FJS/GhqZAcGeUB9Aa2bL9I7oMx4glkJc9MUNnCvy7nYCIBgwi6MTUwOUxGMwGIlQ
FHmjpgZ38aSpRGLP02IPw+Rt
-----END CERTIFICATE-----
`

interface TestServer {
  /** The certificate of its authority. */
  readonly ca: string
  close(): Promise<void>
}

/** What the tests of a suite start on. */
interface Servers<S> {
  readonly folder: string
  /** Asks for a login, over TLS. */
  readonly server: S
  /** Asks for nothing. */
  readonly plain: S
  /** Files with the certificate of the server's authority, and with that of another one. */
  readonly ca: string
  readonly otherCa: string
}

/** Starts two servers before a suite, and ends them after it. `data` gives the flag for a data folder that nobody has. */
export function onServers<S extends TestServer>(server: () => Promise<S>, plain: () => Promise<S>) {
  let folder: Awaited<ReturnType<typeof makeFolder>> | undefined
  let started: Servers<S> | undefined
  before(async () => {
    folder = await makeFolder()
    const [secured, open] = await Promise.all([server(), plain()])
    const [ca, otherCa] = [join(folder.path, 'ca.pem'), join(folder.path, 'other.pem')]
    await writeFile(ca, secured.ca)
    await writeFile(otherCa, OTHER_AUTHORITY)
    started = { folder: folder.path, server: secured, plain: open, ca, otherCa }
  })
  after(async () => {
    await Promise.all([started?.server.close(), started?.plain.close()])
    await folder?.remove()
  })
  const its = (): Servers<S> => started ?? assert.fail('the servers are started before the tests')
  let folders = 0
  return { its, data: () => ['--data', join(its().folder, `data-${folders++}`)] }
}

/**
 * What `up` and `doctor` must have ended by. They take less than two seconds by themselves, and have 10; the tests share the machine
 * with others. One that waits instead of refusing waits for ever.
 */
export const END_WITHIN_MS = 30_000

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command that ends by itself in time; one that does not is killed and fails. */
async function ended(args: readonly string[], environment: Record<string, string>): Promise<Ended> {
  const child = startCommand(args, environment)
  const output = outputOf(child)
  const late = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS)
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  clearTimeout(late)
  const { stdout, stderr } = output
  assert.equal(signal, null, `${args.join(' ')} did not end within ${END_WITHIN_MS} ms:\n${stdout}${stderr}`)
  return { code, stdout, stderr }
}

/** Runs a command that ends by itself in time in this process: to load all of it once more takes longer than the command. */
async function endedHere(args: readonly string[], environment: Record<string, string>): Promise<Ended> {
  const former = Object.keys(environment).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, environment)
  const late = new AbortController()
  try {
    return await Promise.race([
      runCommand(args),
      delay(END_WITHIN_MS, undefined, { signal: late.signal }).then(() =>
        assert.fail(`${args.join(' ')} did not end within ${END_WITHIN_MS} ms`),
      ),
    ])
  } finally {
    late.abort()
    for (const [name, value] of former) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

/** What a process has printed so far. */
export function outputOf(child: ChildProcess): { readonly stdout: string; readonly stderr: string } {
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString()
  })
  return output
}

export interface Refusal {
  /** The flags that both commands get. */
  readonly args: readonly string[]
  readonly environment?: Record<string, string>
  /** The code that `up` ends with, and that `doctor` names unless `finding` says otherwise. */
  readonly code: string
  /** What both say about it. */
  readonly says: RegExp
  /** What both say to do. */
  readonly remedy?: RegExp
  /** The check of `doctor` that fails, and what it says. */
  readonly finding: readonly [check: string, detail: RegExp]
}

/** What `doctor --json` prints. */
export interface Report {
  readonly ok: boolean
  readonly findings: readonly {
    readonly check: string
    readonly status: string
    readonly detail: string
    readonly remedy?: string
  }[]
}

/** `up` and `doctor` each end in time with exit code 1, what is wrong and the remedy, without a stack or a secret. */
export async function assertRefused(refusal: Refusal): Promise<void> {
  const { args, environment = {}, code, says, remedy: does = /\w{3,}/, finding } = refusal
  const common = ['--port', '0', '--simulator', 'http://127.0.0.1:1', ...args]
  // One after the other: each of them locks the data folder while it looks into it.
  const up = await ended(['up', ...common], environment)
  const doctor = await endedHere(['doctor', '--json', ...common], environment)
  for (const { stdout, stderr } of [up, doctor]) {
    assert.doesNotMatch(stdout + stderr, /^\s+at .+:\d+:\d+/m, 'no stack')
    assert.ok(!`${stdout}${stderr}`.includes(SECRET), `no secret: ${stdout}${stderr}`)
  }
  assert.equal(up.code, 1, up.stderr)
  assert.equal(up.stdout, '')
  // All of it is a log: no line is of another format.
  const lines = up.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, string>>)
  const last = lines.at(-1)
  assert.equal(last?.['level'], 'error', up.stderr)
  assert.equal(last?.['code'], code, up.stderr)
  assert.match(`${code}: ${last?.['msg']}`, says)
  assert.match(last?.['remedy'] ?? '', does, 'a remedy')

  assert.equal(doctor.code, 1, doctor.stdout + doctor.stderr)
  const { ok, findings } = JSON.parse(doctor.stdout) as Report
  assert.equal(ok, false)
  const [check, detail] = finding
  const [failed, ...more] = findings.filter((each) => each.check === check)
  assert.deepEqual(more, [], 'said once')
  assert.equal(failed?.status, 'fail', doctor.stdout)
  assert.match(failed?.detail ?? '', detail)
  assert.match(failed?.remedy ?? '', does, 'a remedy')
}
