import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type ConfigInput, loadConfig } from '../../src/config.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { announceRun, type RunFile, readRunFile } from '../../src/topology/run-file.ts'

const SERVERS: ConfigInput = { broker: { kind: 'kafka' }, store: { kind: 'timescale' } }
const silent = createLog({ level: 'silent' })

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapeline-run-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function configOf(data: string, settings: ConfigInput) {
  return loadConfig({ file: undefined, environment: {}, flags: { ...settings, data } })
}

/** A process that is there, whatever it does. */
async function somebody(t: TestContext): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' })
  t.after(async () => {
    child.kill('SIGKILL')
    await once(child, 'close')
  })
  await once(child, 'spawn')
  return child.pid ?? 0
}

const run = (pid: number, api: string, ...roles: RunFile['roles']): RunFile => ({ pid, api, roles })

describe('run files', () => {
  test('a process that has the folder to itself writes run.json and takes it away', (t) => {
    const data = folderOf(t)
    const mine = run(process.pid, 'http://127.0.0.1:1', 'producer', 'coordinator', 'gateway')
    const { remove } = announceRun(configOf(data, {}), mine, silent)
    assert.deepEqual(readdirSync(data), ['run.json'])
    const { pid, api } = JSON.parse(readFileSync(join(data, 'run.json'), 'utf8')) as RunFile
    assert.deepEqual({ pid, api }, { pid: process.pid, api: mine.api })
    assert.deepEqual(readRunFile(data), mine)
    remove()
    assert.deepEqual(readdirSync(data), [])
  })

  test('processes on servers share a folder: the commands find the gateway, whoever came first', async (t) => {
    const data = folderOf(t)
    const config = configOf(data, SERVERS)
    const producer = run(await somebody(t), 'http://127.0.0.1:1', 'producer')
    const gateway = run(await somebody(t), 'http://127.0.0.1:2', 'gateway')
    const second = run(process.pid, 'http://127.0.0.1:3', 'gateway')
    const left = announceRun(config, producer, silent)
    assert.deepEqual(readRunFile(data), producer)
    const first = announceRun(config, gateway, silent)
    assert.deepEqual(readRunFile(data), gateway)
    const other = announceRun(config, second, silent)
    assert.deepEqual(readRunFile(data), gateway, 'a second gateway does not take the place of the first')

    left.remove()
    assert.deepEqual(readRunFile(data), gateway, 'who ends takes away only what is its own')
    first.remove()
    assert.deepEqual(readRunFile(data), second)
    other.remove()
    assert.deepEqual(readdirSync(data), [])
  })

  test('files of killed processes count as none and are taken away by the next one', (t) => {
    const data = folderOf(t)
    const dead = { pid: 2 ** 22 + 1, api: 'http://127.0.0.1:1', roles: ['gateway'] }
    for (const name of ['run.json', `run-${dead.pid}.json`])
      writeFileSync(join(data, name), JSON.stringify(dead))
    assert.equal(readRunFile(data), undefined)
    const mine = run(process.pid, 'http://127.0.0.1:2', 'producer')
    const { remove } = announceRun(configOf(data, SERVERS), mine, silent)
    assert.deepEqual(readRunFile(data), mine)
    remove()
    assert.deepEqual(readdirSync(data), [])
  })

  test('with servers a folder that cannot be written is no reason not to run', (t) => {
    const file = join(folderOf(t), 'a-file')
    writeFileSync(file, '')
    const mine = run(process.pid, 'http://127.0.0.1:2', 'gateway')
    announceRun(configOf(file, SERVERS), mine, silent).remove()
    assert.throws(() => announceRun(configOf(file, {}), mine, silent), { code: 'DATA_FOLDER_UNUSABLE' })
  })
})
