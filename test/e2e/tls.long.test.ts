import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { makeCertificate } from '../servers/postgres-files.ts'
import { makeFolder, PlatformProcess, runCommand, runProgram, START_MS, until } from './platform-process.ts'

/** The first for a name that the platform is not reached under here, as a real certificate is. */
const NAMES = { first: 'DNS:market.example.com', second: 'DNS:localhost,IP:127.0.0.1' }

describe('a platform that serves HTTPS', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess
  const at = (...names: string[]) => join(folder.path, ...names)
  const use = async (name: string) => {
    for (const file of ['server.crt', 'server.key']) await copyFile(at(name, file), at(file))
  }
  const tapeline = (...args: string[]) => runCommand([...args, '--data', at('data')])
  const certificateOf = async () => JSON.parse(await readFile(at('data', 'run.json'), 'utf8')).certificate

  before(async () => {
    folder = await makeFolder()
    for (const [name, names] of Object.entries(NAMES)) {
      await mkdir(at(name))
      await makeCertificate(at(name), names)
    }
    await use('first')
    simulator = await startSimulatorThread({ seed: 1, rate: 50 })
    platform = new PlatformProcess(at('data'), ['--simulator', simulator.url], {
      TAPELINE_GATEWAY_TLS_CERT: at('server.crt'),
      TAPELINE_GATEWAY_TLS_KEY: at('server.key'),
    })
    platform.launch()
    await until('it answers', async () => (await tapeline('actors')).code === 0, START_MS)
  })
  after(async () => {
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  test('commands of its machine find it, whatever name its certificate is for', async () => {
    assert.match(await platform.api(), /^https:/)
    let created = await tapeline('streams')
    // It answers before a coordinator leads.
    await until('a stream is made', async () => {
      created = await tapeline('streams', 'create', '--channel', 'trade', '--symbols', 'BTC-*', '--json')
      return created.code === 0
    })
    const tail = await tapeline(
      'tail',
      JSON.parse(created.stdout).id,
      '--from',
      'latest',
      '--limit',
      '1',
      '--json',
    )
    assert.equal(tail.code, 0, tail.stderr)
    // Its questions have seconds, which a busy machine may take.
    await until('doctor finds it, and its certificate', async () => {
      const { stdout } = await runProgram(['doctor', '--json', '--port', '0', '--data', at('data')], {
        TAPELINE_GATEWAY_TLS_CERT: at('server.crt'),
        TAPELINE_GATEWAY_TLS_KEY: at('server.key'),
        TAPELINE_SOURCE_URL: simulator.websocketUrl,
      })
      return (
        stdout.includes('"check":"platform","status":"ok"') &&
        stdout.includes('DNS:market.example.com: good for')
      )
    })
  })

  test('SIGHUP reads the files again without a cut; files that cannot be used change nothing', async () => {
    const before = await certificateOf()
    const socket = new WebSocket(`${(await platform.api()).replace('http', 'ws')}/v1/ws`, {
      rejectUnauthorized: false,
    })
    await once(socket, 'open')
    await writeFile(at('server.key'), 'no key')
    platform.hangUp()
    await until('it says so', () => /CONFIG_INVALID.*|the certificate stays as it was/.test(platform.output))
    assert.match(platform.output, /gateway\.tlsCert/)
    assert.doesNotMatch(platform.output, /no key/)
    assert.equal((await tapeline('actors')).code, 0)
    await use('second')
    platform.hangUp()
    await until('it shows the other one', async () => (await certificateOf()) !== before)
    assert.equal((await tapeline('actors')).code, 0)
    socket.send('{"op":"ping"}')
    assert.equal(String((await once(socket, 'message'))[0]), '{"op":"pong"}')
    socket.terminate()
  })

  test('commands elsewhere trust the authority that TAPELINE_API_CA names, and say so where it is lacking', async () => {
    const TAPELINE_API = await platform.api()
    const refused = await runProgram(['streams'], { TAPELINE_API })
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /NOT_RUNNING[\s\S]*TAPELINE_API_CA/)
    const { code, stderr } = await runProgram(['streams'], {
      TAPELINE_API,
      TAPELINE_API_CA: at('second', 'ca.crt'),
    })
    assert.equal(code, 0, stderr)
  })

  test('ends in order', async () => assert.equal(await platform.stop(), 0))
})
