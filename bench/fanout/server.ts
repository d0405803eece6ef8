import { setTimeout as delay } from 'node:timers/promises'
import type { WebSocket } from 'ws'
import { clockMicros } from '../../src/topology/sources.ts'
import { openBareFan } from './bare.ts'
import { openDeliveryFan } from './delivery.ts'
import type { Emission, Emitted, ServerSaid } from './messages.ts'

/** What sends events to all sockets. */
export interface Fan {
  readonly port: number
  readonly sockets: ReadonlySet<WebSocket>
  /** Called when all sockets are there. */
  readonly begin?: () => Promise<void>
  /** Sends events as one frame; resolves when all sockets that take something have been given it. */
  emit(events: readonly object[]): Promise<void>
}

/** With so much that waits in sockets the next frame waits too. */
const MOST_PENDING_BYTES = 8 * 1024 * 1024
const LOOK_EVERY = 10

// The program of a forked process: its arguments are the kind, and a folder.
const [kind, folder = ''] = process.argv.slice(2)
const fan = kind === 'bare' ? await openBareFan() : await openDeliveryFan(folder)
let isBegun = false

/** What waits in all sockets but the first. */
function pendingBytes(without: number): number {
  let [bytes, count] = [0, 0]
  for (const { bufferedAmount } of fan.sockets) if (count++ >= without) bytes += bufferedAmount
  return bytes
}

function makeEvent(size = 0): object {
  const now = clockMicros()
  const trade = { exchange: 'coinbase', symbol: 'BTC-USD', id: '684000001', side: 'buy', price: 119_300.5 }
  const note = size > 0 ? { note: 'x'.repeat(size) } : {}
  return { ...trade, size: 0.0123, ts: now - 1_500, ...note, recvTs: now }
}

async function emit({
  frames,
  eventsAFrame,
  perSecond,
  bytes,
  isDrained,
  stalled,
}: Emission): Promise<Emitted> {
  if (!isBegun) await fan.begin?.()
  isBegun = true
  const cpuBefore = process.cpuUsage()
  const began = performance.now()
  for (let frame = 0; frame < frames; frame++) {
    if (perSecond !== undefined)
      await delay(Math.max(0, began + (frame * 1000) / perSecond - performance.now()))
    const emitted = fan.emit(Array.from({ length: eventsAFrame }, () => makeEvent(bytes)))
    if (perSecond === undefined || frame === frames - 1) await emitted
    if (isDrained && frame % LOOK_EVERY === 0)
      while (pendingBytes(stalled) > MOST_PENDING_BYTES) await delay(1)
  }
  while (isDrained && pendingBytes(stalled) > 0) await delay(1)
  const { user, system } = process.cpuUsage(cpuBefore)
  const seconds = (performance.now() - began) / 1000
  return {
    seconds,
    cpuMicros: user + system,
    pendingBytes: pendingBytes(0),
    rssBytes: process.memoryUsage().rss,
  }
}

const say = (said: ServerSaid): void => {
  process.send?.(said)
}
say({ port: fan.port })
process.on('message', async (emission: Emission) => say({ emitted: await emit(emission) }))
process.on('disconnect', () => process.exit())
