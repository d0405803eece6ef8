import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { createWebSocketEndpoint } from '../../src/adapters/transport/websocket.ts'
import { openControlBus } from '../../src/control/bus.ts'
import { claimOwnership } from '../../src/control/claim.ts'
import { joinMembership } from '../../src/control/membership.ts'
import { platformNames } from '../../src/control/names.ts'
import { openRegistry } from '../../src/control/registry.ts'
import { type RegistryRecord, registryEntry } from '../../src/control/registry-records.ts'
import { createStreamDesk } from '../../src/control/stream-desk.ts'
import { ensureTopics } from '../../src/control/topics.ts'
import { SocketSession } from '../../src/gateway/socket-session.ts'
import type { Broker, OutgoingRecord } from '../../src/ports/broker.ts'
import type { Meter } from '../../src/ports/log.ts'
import type { AppEndpoint } from '../../src/ports/transport.ts'
import { createDelivery } from '../../src/services/consumer-dynamic/consumer-dynamic.ts'
import { createAlerts } from '../../src/telemetry/alerts.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { ActorRoster } from '../../src/topology/actors.ts'
import { clockMicros } from '../../src/topology/sources.ts'
import { STREAM } from './messages.ts'
import type { Fan } from './server.ts'

const APP = 'local'
const TOPIC = 'app.bench'
const names = platformNames({ prefix: 'market', dynamicPrefix: 'app', controlPrefix: 'tapeline' })
const signal = AbortSignal.timeout(7_200_000)
const log = createLog({ level: 'warn', pretty: false })
const meter: Meter = { count: () => {}, gauge: () => {}, observe: () => {} }
const encoder = new TextEncoder()

/**
 * Delivery as a gateway runs it, over an embedded log into which this process writes itself: reader, machine, sessions and sockets, with cursors and
 * bounds. HTTP in front of the sockets is left out, since it is over once a socket is open.
 */
export async function openDeliveryFan(folder: string): Promise<Fan> {
  const broker = await openEmbeddedBroker({ folder, log })
  const settings = { names, partitions: 1, retentionMs: 3_600_000, deadLetterRetentionMs: 3_600_000 }
  await ensureTopics(broker, settings, signal)
  await makeStream(broker)
  const registry = await openRegistry(broker, names, log, signal)
  const bus = await openControlBus(broker, names, registry, log, signal)
  const me = { instance: 'bench', roles: ['gateway'] } as const
  const membership = joinMembership(bus, { ...me, roles: [...me.roles] }, () => performance.now(), log)
  const newId = (): string => crypto.randomUUID()
  const desk = createStreamDesk({ instance: 'bench', bus, registry, membership, newId })
  const roster = new ActorRoster()
  const actorParts = {
    settings: { now: Date.now, random: Math.random, alertAfterMs: 60_000 },
    alerts: createAlerts({ log, meter }),
    ...{ onTransition: () => {}, log, meter },
  }
  const delivery = await createDelivery({
    ...{ broker, names, desk, bus, registry, instance: 'bench', log, meter },
    spawn: (app, services) => roster.spawnConsumerDynamic(actorParts, app, services),
    nowMicros: clockMicros,
  })
  const { server, port } = await listen((socket, connection) => {
    new SocketSession({
      ...{ socket, app: APP, desk, delivery, newLeaseId: newId, fixedTopics: names.fixed },
      endpoint: createWebSocketEndpoint(socket, newId(), connection),
      throttle: (endpoint) => endpoint,
      admitRequest: () => () => undefined,
      beyondKept: async () => [],
    })
  })

  /** Subscribes after all others, and so hears of a frame when they all have it. */
  const witness = createWitness()
  const witnessed = delivery.connect(APP, witness.endpoint)
  let offset = 0
  /** What was written before the witness came. */
  let before = 0
  return {
    port,
    sockets: server.clients,
    begin: async () => {
      before = offset
      witnessed.subscribe(STREAM)
    },
    async emit(events) {
      const records = events.map((event) => recordOf(event, offset++))
      const handed = witness.has(offset - before)
      await broker.publish([{ topic: TOPIC, partition: 0, records }], signal)
      await handed
    },
  }
}

/** An application within this process. Frames may gather several emissions, so it counts events. */
function createWitness(): { readonly endpoint: AppEndpoint; has(events: number): Promise<void> } {
  let got = 0
  const waiting: { readonly events: number; readonly resolve: () => void }[] = []
  return {
    endpoint: {
      ...{ id: 'witness', pendingBytes: 0, closed: false, send: () => {}, drained: async () => {} },
      sendEncoded(_bytes, _cursor, events) {
        got += events
        while ((waiting[0]?.events ?? Number.POSITIVE_INFINITY) <= got) waiting.shift()?.resolve()
      },
    },
    has: (events) => new Promise((resolve) => waiting.push({ events, resolve })),
  }
}

async function listen(
  onSocket: (socket: WebSocket, connection: Duplex) => void,
): Promise<{ server: WebSocketServer; port: number }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', (socket, request) => onSocket(socket, request.socket))
  return { server, port: (server.address() as AddressInfo).port }
}

function recordOf(event: object, offset: number): OutgoingRecord {
  return {
    key: 'bench:A-B',
    value: encoder.encode(JSON.stringify(event)),
    headers: {
      ...{ v: 1, kind: 'event', shard: 0, epoch: 1 },
      position: { topic: names.fixed.trade, partition: 0, offset },
    },
  }
}

/** One stream that is ready, and its lease. */
async function makeStream(broker: Broker): Promise<void> {
  const [topic] = await broker.createTopics([{ name: TOPIC, partitions: 1, retentionMs: 3_600_000 }], signal)
  const leader = await claimOwnership(broker, names, names.leaderId, 'bench', Date.now(), signal)
  const author = { v: 1, instance: 'bench', epoch: leader.epoch, createdAt: Date.now() } as const
  const records: RegistryRecord[] = [
    {
      ...{ ...author, kind: 'stream', id: TOPIC, state: 'ready', topic: TOPIC, topicId: topic?.id ?? '' },
      ...{ spec: { channel: 'trade', symbols: ['*'], exchanges: [] }, start: [0] },
    },
    {
      ...{ ...author, kind: 'lease', id: STREAM, state: 'live', reason: '', app: APP, streamId: TOPIC },
      ...{ ttlMs: 0, standing: false, opensTopic: true },
    },
  ]
  const entry = { topic: names.registry, partition: 0, records: records.map(registryEntry) }
  await leader.writer.commit([entry], signal)
}
