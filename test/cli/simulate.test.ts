import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { readLedger } from '../e2e/ledger.ts'
import { makeFolder, startCommand, until } from '../e2e/platform-process.ts'

let folder: Awaited<ReturnType<typeof makeFolder>>

before(async () => {
  folder = await makeFolder()
})
after(() => folder.remove())

interface Addresses {
  readonly port: number
  readonly url: string
  readonly websocketUrl: string
}

/** Starts `tapeline simulate` on a free port and reads the addresses that it prints. */
async function simulate(...args: readonly string[]) {
  const process = startCommand(['simulate', '--port', '0', '--json', ...args])
  let stderr = ''
  process.stderr?.on('data', (part: Buffer) => {
    stderr += part.toString()
  })
  const closed = once(process, 'close') as Promise<[code: number | null, signal: string | null]>
  const [line] = (await once(process.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return { process, closed, errors: () => stderr, ...(JSON.parse(String(line)) as Addresses) }
}

/** A client that subscribes to all trades of a market, which begins its walk. */
async function subscribe({ websocketUrl }: Addresses): Promise<WebSocket> {
  const socket = new WebSocket(`${websocketUrl}?api_key=any`)
  await once(socket, 'open')
  socket.on('error', () => {})
  socket.send(JSON.stringify({ action: 'SubAdd', subs: ['0~Coinbase~BTC~USD'] }))
  return socket
}

describe('tapeline simulate', () => {
  test('with --exit it ends when the trades are emitted and in the ledger', async () => {
    const ledger = join(folder.path, 'exit')
    const options = ['--rate', '5000', '--events', '300', '--ledger', ledger, '--exit', '--seed', '3']
    const simulator = await simulate(...options)
    assert.match(simulator.websocketUrl, new RegExp(`^ws://127\\.0\\.0\\.1:${simulator.port}/v2$`))
    await subscribe(simulator)
    assert.deepEqual(await simulator.closed, [0, null], simulator.errors())
    const trades = await readLedger(ledger)
    assert.equal(trades.length, 300)
    assert.deepEqual(Object.keys(trades[0] ?? {}), [
      'exchange',
      'symbol',
      'id',
      'side',
      'price',
      'size',
      'ts',
    ])
    assert.match(simulator.errors(), /300 trades of 1 markets.*all were emitted/)
  })

  test('without it it stays, misbehaves as it is told, and leaves a whole ledger at SIGTERM', async () => {
    const ledger = join(folder.path, 'stay')
    const options = ['--rate', '5000', '--events', '200', '--ledger', ledger, '--misbehave', 'duplicate:0.5']
    const simulator = await simulate(...options)
    const stats = async () =>
      (await (await fetch(`${simulator.url}/stats`)).json()) as {
        emitted: number
        ended: boolean
        misbehave: string[]
      }
    assert.deepEqual((await stats()).misbehave, ['duplicate:0.5'])
    await subscribe(simulator)
    await until('all trades are emitted', async () => (await stats()).ended)
    const answer = await fetch(`${simulator.url}/misbehave`, { method: 'POST', body: '{"modes":["stall"]}' })
    assert.deepEqual(await answer.json(), { modes: ['stall'] })
    assert.equal(simulator.process.exitCode, null, 'it stays')
    simulator.process.kill('SIGTERM')
    assert.deepEqual(await simulator.closed, [0, null], simulator.errors())
    const text = await readFile(ledger, 'utf8')
    assert.ok(text.endsWith('\n'), 'the last line is whole')
    assert.equal((await readLedger(ledger)).length, 200)
  })

  test('says where it is and how to use it; a port that is taken is an error', async (t) => {
    const first = await simulate()
    t.after(() => first.process.kill('SIGKILL'))
    const second = startCommand(['simulate', '--port', String(first.port)])
    const [errors] = (await once(second.stderr as NodeJS.ReadableStream, 'data')) as [Buffer]
    assert.match(String(errors), /"code":"PORT_IN_USE"/)
    assert.deepEqual(await once(second, 'close'), [1, null])
    first.process.kill('SIGINT')
    assert.deepEqual(await first.closed, [0, null])

    const third = startCommand(['simulate', '--port', '0'])
    const [text] = (await once(third.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
    assert.match(
      String(text),
      /WebSocket ws:\/\/127\.0\.0\.1:\d+\/v2\n.*\n +.*up --simulator http:\/\/127\.0\.0\.1:\d+\n/,
    )
    third.kill('SIGINT')
    assert.deepEqual(await once(third, 'close'), [0, null])
  })

  test('listens where it is told', async () => {
    const simulator = await simulate('--host', '127.0.0.2')
    assert.equal(simulator.url, `http://127.0.0.2:${simulator.port}`)
    assert.equal((await fetch(`${simulator.url}/stats`)).status, 200)
    await assert.rejects(fetch(`http://127.0.0.1:${simulator.port}/stats`), 'not on other addresses')
    simulator.process.kill('SIGINT')
    assert.deepEqual(await simulator.closed, [0, null])
  })
})
