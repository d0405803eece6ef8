import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Channel } from '../domain/events.ts'
import type { ActorDirectory, PlacedAlert, TransitionFeed } from '../ports/actors.ts'
import type { Backfills } from '../ports/backfills.ts'
import type { Books } from '../ports/books.ts'
import type { Broker } from '../ports/broker.ts'
import type { DeadLetters } from '../ports/dead-letters.ts'
import type { Delivery } from '../ports/delivery.ts'
import type { KeyDesk } from '../ports/keys.ts'
import type { Log, Meter } from '../ports/log.ts'
import type { Store } from '../ports/store.ts'
import type { StreamDesk } from '../ports/streams.ts'
import type { TopicDesk } from '../ports/topics.ts'
import type { AppEndpoint } from '../ports/transport.ts'
import type { WebhookDesk, WebhookSender } from '../ports/webhooks.ts'

/** An application's key. The application is called by the key's name; the one named `admin` may do everything. */
export interface ApiKey {
  readonly name: string
  readonly key: string
}

/** One part that must run before the platform is ready. */
interface ReadinessCheck {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

export interface Readiness {
  readonly ready: boolean
  readonly checks: readonly ReadinessCheck[]
}

/** What a server speaks TLS with: PEM texts, the certificate with those between it and its authority. */
export interface ServerTls {
  readonly cert: string
  readonly key: string
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
}

export interface GatewayOptions {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Undefined: plain HTTP. */
  readonly tls: ServerTls | undefined
  /** Of pages that may call besides its own: `https://app.example.com`, `https://*.example.com`. */
  readonly origins: readonly string[]
  /** How many answers of all rows (NDJSON, CSV) run at once. */
  readonly maxRowStreams: number
  /** How many sockets and event streams may be open. */
  readonly maxSockets: number
  /** Without keys everybody is the application `local`, and only the loopback address may be listened on. */
  readonly keys: readonly ApiKey[]
  readonly desk: StreamDesk
  readonly delivery: Delivery
  readonly webhooks: WebhookDesk
  readonly issuedKeys: KeyDesk
  readonly webhookSender: Pick<WebhookSender, 'check' | 'newSecret'>
  readonly store: Store
  readonly broker: Broker
  readonly topics: TopicDesk
  /** How the names of dynamic topics begin. */
  readonly dynamicPrefix: string
  readonly fixedTopics: Readonly<Record<Channel, string>>
  readonly deadLetters: DeadLetters
  readonly backfills: Backfills
  readonly books: Books
  readonly actors: ActorDirectory
  readonly transitions: TransitionFeed
  /** The statechart of a machine as SVG; undefined where there is no machine of this name. */
  readonly diagram: (machine: string) => Promise<string | undefined>
  readonly alerts: () => readonly PlacedAlert[]
  /** The metrics in the Prometheus text format. */
  readonly metrics: () => Promise<string>
  readonly ready: () => Readiness
  /** What the first page and the API description say about this process. */
  readonly info: { readonly version: string }
  readonly log: Log
  readonly meter: Meter
  /** Makes the endpoint of an accepted socket; the transport adapter's function. */
  readonly endpoint: (socket: WebSocket, id: string, connection: Writable) => AppEndpoint
  /** The same of an answer that is a stream of events. */
  readonly eventEndpoint: (response: ServerResponse, id: string) => AppEndpoint
}
