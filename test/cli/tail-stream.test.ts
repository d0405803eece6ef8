import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { connectTo } from '../../src/cli/api-client.ts'
import { createEventPrinter } from '../../src/cli/tail/event-printer.ts'
import { followStream } from '../../src/cli/tail/stream.ts'
import { TapelineError } from '../../src/errors.ts'
import { type RecordingTerminal, recordingTerminal } from './recording-terminal.ts'

/** What the client asked for on each of its connections. */
interface Subscribe {
  readonly op: string
  readonly stream: string
  readonly cursor?: string
}

type Serve = (socket: WebSocket, asked: Subscribe, connection: number) => void

/** A gateway whose sockets do what the test says, and the addresses of its connections. */
async function gateway(t: TestContext, serve: Serve) {
  const asked: Subscribe[] = []
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  t.after(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  server.on('connection', (socket, request) => {
    assert.equal(request.url, '/v1/ws')
    socket.once('message', (bytes) => {
      const message = JSON.parse(String(bytes)) as Subscribe
      asked.push(message)
      serve(socket, message, asked.length)
    })
  })
  return { asked, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function send(socket: WebSocket, ...messages: readonly object[]): void {
  for (const message of messages) socket.send(JSON.stringify({ stream: 's', ...message }))
}

function follow(
  terminal: RecordingTerminal,
  address: string,
  { cursor, limit }: { cursor?: string; limit?: number } = {},
): Promise<void> {
  const printer = createEventPrinter({ json: true, limit, terminal })
  return followStream({ connect: () => connectTo({ api: address }), stream: 's', cursor, printer, terminal })
}

describe('tail of a stream', () => {
  test('a cut connection goes on after the last batch that was printed', async (t) => {
    const { asked, address } = await gateway(t, (socket, { cursor }, connection) => {
      send(socket, { op: 'subscribed', topic: 'app.t', cursor: cursor ?? 'c0' })
      if (connection === 1) {
        send(socket, { op: 'data', cursor: 'c2', events: [{ id: 1 }, { id: 2 }] })
        socket.close(1001)
      } else if (connection === 2) {
        socket.terminate()
      } else {
        send(socket, { op: 'data', cursor: 'c3', events: [{ id: 3 }] }, { op: 'end', reason: 'deleted' })
      }
    })
    const terminal = recordingTerminal()
    await follow(terminal, address)
    assert.deepEqual(
      asked.map(({ op, stream, cursor }) => ({ op, stream, cursor })),
      [undefined, 'c2', 'c2'].map((cursor) => ({ op: 'subscribe', stream: 's', cursor })),
    )
    assert.deepEqual(terminal.printed, ['{"id":1}', '{"id":2}', '{"id":3}'])
    assert.match(terminal.noted.join('\n'), /waiting for the platform.*back.*has ended: deleted/s)
  })

  test('what no source gives is said once, before anything comes', async (t) => {
    const { address } = await gateway(t, (socket, _, connection) => {
      const warnings = [
        { field: 'symbols', value: 'BCT-USD', message: 'no source has it', near: ['BTC-USD'] },
      ]
      send(socket, { op: 'subscribed', topic: 'app.t', cursor: 'c0', warnings })
      if (connection === 1) socket.close(1001)
      else send(socket, { op: 'end', reason: 'deleted' })
    })
    const terminal = recordingTerminal()
    await follow(terminal, address)
    const said = terminal.noted.filter((line) => line.startsWith('Warning'))
    assert.deepEqual(said, ['Warning: symbols BCT-USD: no source has it; near to it: BTC-USD'])
  })

  test('a cut before the first event goes on from where the subscription began', async (t) => {
    const { asked, address } = await gateway(t, (socket, _, connection) => {
      send(socket, { op: 'subscribed', topic: 'app.t', cursor: 'begin' })
      if (connection === 1) socket.close(1001)
      else send(socket, { op: 'end', reason: 'x' })
    })
    await follow(recordingTerminal(), address)
    assert.deepEqual(
      asked.map(({ cursor }) => cursor),
      [undefined, 'begin'],
    )
  })

  test('history that is gone is said, and the reading goes on from there', async (t) => {
    const { asked, address } = await gateway(t, (socket, _, connection) => {
      if (connection === 1) {
        send(socket, { op: 'subscribed', topic: 'app.t', cursor: 'old' })
        send(socket, { op: 'reset', reason: 'retention', cursor: 'new' })
        socket.close(1001)
      } else send(socket, { op: 'end', reason: 'x' })
    })
    const terminal = recordingTerminal()
    await follow(terminal, address, { cursor: 'old' })
    assert.deepEqual(
      asked.map(({ cursor }) => cursor),
      ['old', 'new'],
    )
    assert.match(terminal.noted.join('\n'), /a hole: retention/)
  })

  test('it ends at its limit, in the middle of a batch, and at Ctrl-C', async (t) => {
    const { address } = await gateway(t, (socket) => {
      send(socket, { op: 'subscribed', topic: 'app.t', cursor: 'c' })
      send(socket, { op: 'data', cursor: 'd', events: [1, 2, 3] }, { op: 'data', cursor: 'e', events: [4] })
    })
    const limited = recordingTerminal()
    await follow(limited, address, { limit: 2 })
    assert.deepEqual(limited.printed, ['1', '2'])

    const open = recordingTerminal()
    const print = open.print
    open.print = (text) => {
      print(text)
      if (text === '4') open.interrupt()
    }
    await follow(open, address)
    assert.deepEqual(open.printed, ['1', '2', '3', '4'])
  })

  test('what the platform refuses is raised, at once and after a cut', async (t) => {
    const refusal = { op: 'error', code: 'STREAM_UNKNOWN', message: 'no stream s', remedy: 'List them.' }
    const { address } = await gateway(t, (socket, _, connection) => {
      if (connection === 2) {
        send(socket, { op: 'subscribed', topic: 'app.t', cursor: 'c' })
        socket.close(1001)
      } else send(socket, refusal)
    })
    const expected = { code: 'STREAM_UNKNOWN', message: 'no stream s', remedy: 'List them.' }
    await assert.rejects(follow(recordingTerminal(), address), expected)
    await assert.rejects(follow(recordingTerminal(), address), expected)
  })

  test('without a platform it says so instead of waiting', async () => {
    const terminal = recordingTerminal()
    const connect = () => {
      throw new TapelineError('NOT_RUNNING', 'none')
    }
    const printer = createEventPrinter({ json: true, limit: undefined, terminal })
    await assert.rejects(followStream({ connect, stream: 's', cursor: undefined, printer, terminal }), {
      code: 'NOT_RUNNING',
    })
  })
})
