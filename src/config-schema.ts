import { z } from 'zod'
import { listenHost, network, serverAddress, webAddress, webOrigin } from './config-network.ts'
import { listOfSources, sourceSchema } from './config-sources.ts'
import { chosenDuration, count, duration, file, flag, list, topicPrefix } from './config-values.ts'
import { isWithin } from './control/names.ts'
import { streamRequestSchema } from './domain/stream-spec.ts'

/** How a server of ours speaks TLS. */
const serverTls = {
  tlsCert: file(
    'Certificate to serve HTTPS with, a PEM file, followed by those between it and its authority. Without it plain HTTP is served. The process reads both files again on SIGHUP.',
  ),
  tlsKey: file('Key of that certificate, a PEM file.'),
  tlsMinVersion: z
    .enum(['TLSv1.2', 'TLSv1.3'])
    .default('TLSv1.2')
    .describe('The oldest version of TLS that clients may speak.'),
}

/** What a process can do; by default it does all of it. */
export const ROLES = ['producer', 'coordinator', 'consumer-fixed', 'gateway'] as const

/**
 * Every setting with its default. It is a table, and long because there are many: all of them stand in one place, in the order of the page.
 * Keys become environment variables: `streams.grace` is TAPELINE_STREAMS_GRACE.
 */
export const configSchema = z.strictObject({
  data: z.string().min(1).default('.tapeline').describe('Folder of the embedded broker and store.'),
  roles: list(z.enum(ROLES))
    .pipe(z.array(z.enum(ROLES)).min(1, 'names no role'))
    .default([...ROLES])
    .describe('What this process does.'),
  source: sourceSchema.prefault({}),
  sources: z
    .preprocess(
      (given) => listOfSources(given),
      z.array(sourceSchema).superRefine((sources, context) => {
        for (const [i, { kind, exchange }] of sources.entries())
          if (sources.findIndex((each) => each.kind === kind && each.exchange === exchange) < i)
            context.addIssue({ code: 'custom', path: [i, 'kind'], message: 'is there twice' })
      }),
    )
    .default([])
    .describe(
      'Several sources in one platform, in place of `source`: kinds, or objects with the settings of `source`. Each kind once, each market at one of them.',
    ),
  topics: z
    .strictObject({
      prefix: topicPrefix('market', 'How the names of the fixed topics begin, before a dot.'),
      dynamicPrefix: topicPrefix(
        'app',
        'How the names of the topics of streams begin. Two platforms on one broker need different ones.',
      ),
      controlPrefix: topicPrefix(
        'tapeline',
        'How the names of the control topics, dead letters, consumer groups and transactional ids begin.',
      ),
      partitions: count(
        1,
        64,
        4,
        'Partitions of each fixed topic, which is the number of shards. Cannot be changed later.',
      ),
      retention: duration('7d', 'How long fixed topics keep records, at least a minute.', {
        leastMs: 60_000,
      }),
      deadLetterRetention: duration('30d', 'How long dead letters are kept.'),
    })
    .superRefine((topics, context) => {
      const names = ['prefix', 'dynamicPrefix', 'controlPrefix'] as const
      for (const [i, name] of names.entries()) {
        const other = names.slice(0, i).find((each) => isWithin(topics[name], topics[each]))
        if (other !== undefined)
          context.addIssue({
            code: 'custom',
            path: [name],
            message: `lies within topics.${other}, or that in it`,
          })
      }
    })
    .prefault({}),
  streams: z
    .strictObject({
      grace: duration('30s', 'How long a topic stays after its last stream has ended.'),
      retention: duration('1h', 'How far back an application may resume, at least 10 s.', {
        leastMs: 10_000,
      }),
      maxPerApplication: count(1, 100_000, 1_000, 'How many streams one application may have.'),
      standing: z
        .record(
          z.string().regex(/^[a-z][a-z0-9-]{0,63}$/),
          streamRequestSchema.omit({ ttl: true, from: true }),
        )
        .prefault({})
        .describe('Streams that are always there, by name.'),
    })
    .prefault({}),
  webhooks: z
    .strictObject({
      timeout: duration('10s', 'How long a receiver has to answer, at least a second, at most a minute.', {
        leastMs: 1_000,
        mostMs: 60_000,
      }),
      pauseAfter: duration(
        '1d',
        'How long a receiver may fail before its webhook is paused, with an alert, at least a second. streams.retention says how much waits for it.',
        { leastMs: 1_000 },
      ),
      maxPerApplication: count(1, 10_000, 100, 'How many webhooks one application may have.'),
      allow: list(network)
        .default([])
        .describe(
          'Addresses and networks that receivers may have besides public ones, such as 10.1.0.0/16; 127.0.0.0/8 is this machine.',
        ),
    })
    .prefault({}),
  producer: z
    .strictObject({
      linger: chosenDuration(
        'How long the producer gathers events into a batch once one has arrived. By default 100ms for the embedded broker, 4ms for a server.',
        0,
      ),
    })
    .prefault({}),
  consumerFixed: z
    .strictObject({
      maxRows: count(100, 100_000, 20_000, 'The most records of one transaction.'),
      linger: chosenDuration(
        'How long a small batch gathers more rows before it is written. By default 1s for the embedded database, 50ms for a server.',
        0,
      ),
    })
    .prefault({}),
  broker: z
    .strictObject({
      kind: z
        .enum(['embedded', 'kafka'])
        .default('embedded')
        .describe(
          'The embedded log, for one process; or kafka: Apache Kafka or Redpanda, for any number of processes.',
        ),
      durability: z
        .enum(['process', 'power'])
        .default('process')
        .describe(
          'Embedded only: what an acknowledged record survives: a killed process, or a power failure too (slower).',
        ),
      bootstrap: list(serverAddress)
        .pipe(z.array(z.string()).min(1, 'names no server'))
        .default(['127.0.0.1:9092'])
        .describe('Kafka: servers to begin with, HOST:PORT.'),
      clientId: z
        .string()
        .min(1)
        .max(100)
        .default('tapeline')
        .describe('Kafka: how clients call themselves.'),
      tls: flag(false, 'Kafka: encrypt connections, and check the certificate of the server.'),
      tlsCa: file(
        'Kafka: certificate authority that signed the server, a PEM file (default: those of Node).',
      ),
      tlsCert: file('Kafka: certificate of this client, a PEM file, where the server asks for one.'),
      tlsKey: file('Kafka: key of that certificate, a PEM file.'),
      sasl: z
        .enum(['none', 'plain', 'scram-sha-256', 'scram-sha-512'])
        .default('none')
        .describe('Kafka: how to log in.'),
      username: z.string().min(1).optional().describe('Kafka: whom to log in as.'),
      passwordFile: file('Kafka: file with the password; or set TAPELINE_BROKER_PASSWORD.'),
      compression: z
        .enum(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none')
        .describe('Kafka: how record batches are compressed.'),
      replication: count(0, 16, 0, 'Kafka: copies of each topic that is made; 0 leaves it to the broker.'),
      sessionTimeout: duration(
        '6s',
        'Kafka: how long nothing may be heard of a process before others get its partitions. The broker says what it takes (group.min.session.timeout.ms, by default 6 s, and group.max.session.timeout.ms).',
        { leastMs: 1_000 },
      ),
    })
    .prefault({}),
  store: z
    .strictObject({
      kind: z
        .enum(['embedded', 'timescale'])
        .default('embedded')
        .describe(
          'TimescaleDB within this process; or timescale: PostgreSQL 15 to 18, with TimescaleDB 2.20 or newer where it is installed.',
        ),
      url: z
        .string()
        .regex(/^postgres(ql)?:\/\//, 'is not an address such as postgres://tapeline@db.internal:5432/market')
        .default('postgres://postgres@127.0.0.1:5432/postgres')
        .describe(
          'Timescale: address of the database, with the user; a password only in the environment. It may have several hosts, HOST:PORT,HOST:PORT: the first that takes writes.',
        ),
      passwordFile: file('Timescale: file with the password; or set TAPELINE_STORE_PASSWORD.'),
      queryUrl: z
        .string()
        .regex(/^postgres(ql)?:\/\//, 'is not an address such as postgres://reader@db.internal:5432/market')
        .optional()
        .describe(
          'Timescale: a login of its own for queries of applications, one that may only read; the server may be a standby. Without it store.url is used.',
        ),
      queryPasswordFile: file('Timescale: file with its password; or set TAPELINE_STORE_QUERY_PASSWORD.'),
      tls: z
        .enum(['off', 'encrypt', 'verify'])
        .default('off')
        .describe('Timescale: whether connections are encrypted, and whether the certificate is checked.'),
      tlsCa: file(
        'Timescale: certificate authority that signed the server, a PEM file (default: those of Node).',
      ),
      lanes: count(
        1,
        8,
        2,
        'Timescale: connections that write at the same time; the partitions are shared out.',
      ),
      statementTimeout: duration('30s', 'Timescale: how long one statement may take, at least a second.', {
        leastMs: 1_000,
      }),
      queryTimeout: duration(
        '5s',
        'Embedded: how long a query of an application may take, at least a second: the database does one thing at a time.',
        { leastMs: 1_000 },
      ),
      chunkInterval: chosenDuration(
        'Length of a chunk of the tables of trades, quotes and books, at least a minute; for new chunks, from the next start on. By default each start chooses it by the rate at which a table fills: embedded 1h, 1d or 7d, on a server 1d or 7d. It is no more than a quarter of the retention.',
        60_000,
      ),
      jobs: z
        .enum(['server', 'platform'])
        .default('server')
        .describe(
          "Timescale: who refreshes candles, compresses and removes what is old: background jobs of the server, or, where they fail or may not run, one of the platform's processes with the role consumer-fixed.",
        ),
      columnstoreAfter: duration(
        '6h',
        'Age at which chunks are compressed into the columnstore; 0 for never.',
      ),
      books: count(
        0,
        1_000,
        0,
        'So many levels of each side of order books are stored: one row for each snapshot in the log, by default every 10 s (source.bookSnapshotEvery). 0: books are not stored.',
      ),
      retention: duration('0s', 'Age at which rows are removed, at least 1h; 0 for never.', {
        leastMs: 3_600_000,
        orZero: true,
      }),
    })
    .prefault({}),
  gateway: z
    .strictObject({
      host: listenHost.default('127.0.0.1').describe('Address to listen on; a public one needs API keys.'),
      port: count(0, 65_535, 8080, 'Port to listen on; 0 lets the system choose.'),
      maxRowStreams: count(
        1,
        1_000,
        4,
        'How many answers of all rows (NDJSON, CSV) run at once; further ones are refused with 503. Each reads the database for as long as its client takes.',
      ),
      origins: list(webOrigin)
        .default([])
        .describe(
          'Sites whose pages may call, besides its own: https://app.example.com, or https://*.example.com for all below that name.',
        ),
      ...serverTls,
    })
    .prefault({}),
  operations: z
    .strictObject({
      host: listenHost
        .default('127.0.0.1')
        .describe('Without the role gateway: address for health, metrics and actors of the process.'),
      port: count(0, 65_535, 0, 'Without the role gateway: port for them; 0 lets the system choose.'),
      ...serverTls,
    })
    .prefault({}),
  alerts: z
    .strictObject({
      after: duration('30s', 'How long a failure lasts before it raises an alert.'),
      lag: count(
        1,
        1_000_000_000,
        100_000,
        'How many records of the fixed topics a process may have to store, for as long as that, before it raises an alert.',
      ),
      alertmanager: webAddress('http')
        .optional()
        .describe("Address of Prometheus' Alertmanager, which is told of alerts and their ends."),
      webhookFile: file(
        'File with the address of a webhook, as Slack has them, that is told the same; or set TAPELINE_ALERTS_WEBHOOK.',
      ),
    })
    .prefault({}),
  telemetry: z
    .strictObject({
      otlp: webAddress('http')
        .optional()
        .describe(
          'Address of an OpenTelemetry collector that takes traces over OTLP/HTTP, such as http://127.0.0.1:4318; or set OTEL_EXPORTER_OTLP_ENDPOINT, and OTEL_EXPORTER_OTLP_HEADERS where it asks for a key.',
        ),
      sampleEvery: count(1, 1_000_000, 100, 'One batch in so many is traced.'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      heap: z
        .preprocess(
          (given) => (typeof given === 'string' && given.trim() !== '' ? Number(given) : given),
          z.number().int().min(16).max(1_048_576).optional(),
        )
        .describe(
          "MiB of one thread's heap, the main one's or that of an embedded engine, with which a process counts as overloaded: it refuses new streams, and conflates quotes. By default four fifths of what Node gives a thread (--max-old-space-size).",
        ),
      eventLoopDelay: duration(
        '2s',
        'How late work may begin before a process counts as overloaded, at least 50 ms.',
        { leastMs: 50 },
      ),
      streams: count(1, 1_000_000, 20_000, 'How many streams there may be, of all applications.'),
      topics: count(1, 1_000_000, 20_000, 'How many topics of streams there may be.'),
      sockets: count(
        1,
        100_000,
        10_000,
        'How many WebSockets and server-sent events of applications a process may have open.',
      ),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('What is logged, to stderr.'),
      format: z
        .enum(['pretty', 'json'])
        .optional()
        .describe(
          'Readable lines, or one JSON object a line. By default readable on a terminal, JSON elsewhere.',
        ),
    })
    .prefault({}),
})

/** The environment variable of a setting: `topics.deadLetterRetention` is TAPELINE_TOPICS_DEAD_LETTER_RETENTION. */
export function environmentName(path: readonly string[]): string {
  return ['TAPELINE', ...path.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter}`))]
    .join('_')
    .toUpperCase()
}

/** The paths of all settings, in the order of the schema. */
export function settingPaths(): (readonly string[])[] {
  return Object.entries(configSchema.shape).flatMap(([key, schema]) => {
    const inner = schema instanceof z.ZodPrefault ? schema.unwrap() : undefined
    return inner instanceof z.ZodObject ? Object.keys(inner.shape).map((name) => [key, name]) : [[key]]
  })
}

/** The JSON Schema of the file, for editors. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' })
}
