import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { clockMicros } from '../../src/topology/sources.ts'
import { percentilesOf } from '../latency/percentiles.ts'
import { type ClientAsked, type ClientSaid, SUBSCRIBE } from './messages.ts'

// The program of a forked process: many sockets that read one stream.
const PATIENCE_MS = 2_000
const MARK = '"recvTs":'
const sockets: WebSocket[] = []
let latencies: number[] = []

function take(frame: Buffer): void {
  const now = clockMicros()
  for (let at = frame.indexOf(MARK); at >= 0; at = frame.indexOf(MARK, at + 1)) {
    const sentAt = Number.parseInt(frame.toString('latin1', at + MARK.length, at + MARK.length + 20), 10)
    latencies.push((now - sentAt) / 1000)
  }
}

async function open(port: number, isStalled: boolean): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/ws`)
  await once(socket, 'open')
  socket.send(SUBSCRIBE)
  await once(socket, 'message')
  if (isStalled) socket.pause()
  socket.on('message', take)
  sockets.push(socket)
}

/** Waits for so many events, as long as more of them come. */
async function untilCame(events: number): Promise<void> {
  for (let known = -1; latencies.length < events && latencies.length > known; ) {
    known = latencies.length
    await delay(PATIENCE_MS)
  }
}

async function answer(asked: ClientAsked): Promise<ClientSaid> {
  if ('open' in asked) {
    for (let i = 0; i < asked.open; i++) await open(asked.port, asked.isStalled)
    return { opened: asked.open }
  }
  await untilCame(asked.report)
  const [p50 = Number.NaN, p99 = Number.NaN] = percentilesOf(Float64Array.from(latencies))
  const report = { events: latencies.length, p50, p99 }
  latencies = []
  return { report }
}

process.on('message', async (asked: ClientAsked) => process.send?.(await answer(asked)))
process.on('disconnect', () => process.exit())
