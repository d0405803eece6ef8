import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import { WebSocketServer } from 'ws'
import { followTrades } from '../delivery/bare-loop.ts'

/** One half of a pipeline as a user would write it: from the source into Kafka, or from Kafka to sockets. */
export interface PlainPart {
  readonly part: 'producer' | 'gateway'
  readonly bootstrap: string
  readonly topic: string
  /** The source, for the producer. */
  readonly source: string
  /** How long it gathers before a send; 0: each record is a send of its own. */
  readonly lingerMs: number
}

// The program of a forked process: its argument says which part it is.
const { part, bootstrap, topic, source, lingerMs } = JSON.parse(process.argv[2] ?? '') as PlainPart
const client = { clientId: 'plain', bootstrapBrokers: [bootstrap] }

async function produce(): Promise<void> {
  const producer = new Producer({ ...client, serializers: stringSerializers })
  let gathered: { topic: string; key: string; value: string }[] = []
  const send = (): void => {
    const messages = gathered
    gathered = []
    producer.send({ messages }).catch((error: unknown) => {
      throw error
    })
  }
  await followTrades(source, (trade) => {
    const key = `${trade.exchange}:${trade.symbol}`
    gathered.push({ topic, key, value: JSON.stringify(trade) })
    if (lingerMs === 0) send()
    else if (gathered.length === 1) setTimeout(send, lingerMs)
  })
}

async function deliver(): Promise<number> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', (socket) => socket.once('message', () => socket.send('{"op":"subscribed"}')))
  const consumer = new Consumer({ ...client, groupId: topic, deserializers: stringDeserializers })
  const stream = await consumer.consume({ topics: [topic], mode: 'latest', autocommit: true })
  stream.on('data', ({ value }) => {
    const message = `{"op":"data","events":[${value}]}`
    for (const socket of server.clients) socket.send(message)
  })
  return (server.address() as AddressInfo).port
}

if (part === 'producer') {
  await produce()
  process.send?.({ port: 0 })
} else process.send?.({ port: await deliver() })
process.on('disconnect', () => process.exit())
