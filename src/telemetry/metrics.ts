import type { CounterName, GaugeName, TimerName } from '../ports/log.ts'

/** What a metric means and which labels it may carry. */
interface Metric {
  readonly help: string
  readonly labels: readonly string[]
}

interface Timer extends Metric {
  /** Upper bounds of the histogram's buckets, in seconds. */
  readonly buckets: readonly number[]
}

/** From 0.5 ms to 10 s, for work that ends at a disk or a database. */
const STORAGE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

/** From 1 ms to 10 s, close around the target of 25 ms. */
const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.035, 0.05, 0.1, 0.25, 1, 10]

/** From 1 ms to 5 min: a hop of milliseconds, and one that waits for the end of an outage. */
const HOP_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 300]

/** Every counter: `/metrics` shows it as `tapeline_` and its name. */
export const COUNTERS: Readonly<Record<CounterName, Metric>> = {
  transitions_total: {
    help: 'Entries of a state machine into a state.',
    labels: ['machine', 'from', 'event', 'to'],
  },
  state_seconds_total: {
    help: 'Time that the state machines of this process have been in a state.',
    labels: ['machine', 'state'],
  },
  actor_errors_total: {
    help: 'Failures that a state machine began to have, by the code of the error.',
    labels: ['machine', 'code'],
  },
  actor_restarts_total: { help: 'Restarts of a root actor that failed.', labels: ['machine'] },
  alerts_total: { help: 'Alerts raised.', labels: ['code'] },
  source_frames_total: { help: 'Frames or answers received from a source.', labels: ['source'] },
  source_malformed_total: {
    help: 'Frames of a source that were not of its own protocol, left out.',
    labels: ['source'],
  },
  source_duplicates_total: { help: 'Events that a source repeated.', labels: ['source'] },
  source_out_of_order_total: {
    help: 'Events of a source older than one before them.',
    labels: ['source'],
  },
  source_conflated_total: {
    help: 'Quotes that gave way to a later one of their market while more waited than could be published.',
    labels: ['source'],
  },
  source_dropped_total: {
    help: "Events dropped at the bound of a source's queue, since the producer did not keep up.",
    labels: ['source'],
  },
  source_book_doubts_total: {
    help: 'Times that an order book began to be in doubt, so that nobody may use it.',
    labels: ['source'],
  },
  source_book_resyncs_total: {
    help: 'Times that an order book that was in doubt was right again, by a new snapshot.',
    labels: ['source'],
  },
  source_reconnects_total: { help: 'Connections to a source made anew.', labels: ['source'] },
  published_records_total: {
    help: 'Records of fixed topics acknowledged by the broker.',
    labels: ['channel'],
  },
  duplicates_dropped_total: {
    help: 'Trades that had been published before, left out by the producer.',
    labels: [],
  },
  reentering_total: {
    help: 'Trades that entered again on purpose (dead letters, history).',
    labels: [],
  },
  maybe_repeated_total: {
    help: 'Trades published with the mark maybe: whether they were published before cannot be told any more.',
    labels: [],
  },
  trade_conflicts_total: {
    help: 'Trades whose id another trade of the market has, with another price, size or time; both are kept.',
    labels: [],
  },
  oversized_events_total: {
    help: 'Events of a source that are too large for a record, left out.',
    labels: ['channel'],
  },
  oversized_derived_total: {
    help: 'Records left out of streams whose topic takes less; their readers get reset.',
    labels: ['channel'],
  },
  gaps_total: { help: 'Gaps in the data of a market or a source, flagged.', labels: [] },
  gaps_recovered_total: { help: 'Gaps filled from the history of a source.', labels: [] },
  derived_records_total: { help: 'Records derived into dynamic topics.', labels: [] },
  late_events_total: { help: 'Events that came after the windows of streams had closed.', labels: [] },
  stored_rows_total: { help: 'Rows written to the database.', labels: [] },
  dead_letters_total: { help: 'Records kept as dead letters.', labels: [] },
  dead_letters_replayed_total: {
    help: 'Dead letters that this producer was asked to publish again, by what became of them.',
    labels: ['outcome'],
  },
  broker_errors_total: { help: 'Calls to the broker that failed, by code.', labels: ['code'] },
  store_errors_total: { help: 'Calls to the database that failed, by code.', labels: ['code'] },
  rebalances_total: {
    help: 'Times that a consumer group gave this process its partitions, the first time included.',
    labels: ['group'],
  },
  delivered_events_total: { help: 'Events handed over to applications.', labels: [] },
  delivery_catch_ups_total: {
    help: 'Streams served from the log for a while, since they resumed or were read too slowly.',
    labels: [],
  },
  delivery_slow_total: {
    help: 'How often a connection was too slow for what came, by what its application chose: catch-up, latest, disconnect.',
    labels: ['choice'],
  },
  delivery_skipped_events_total: {
    help: 'Events that were left out for slow connections which want the latest of each market only.',
    labels: [],
  },
  webhook_requests_total: {
    help: 'Attempts to send a message to the receiver of a webhook, by outcome: accepted, failed, gone.',
    labels: ['outcome'],
  },
  webhook_events_total: { help: 'Events that receivers of webhooks have taken.', labels: [] },
  refused_total: {
    help: 'Streams and connections that were refused for want of room, by code: OVERLOADED, LIMIT_REACHED.',
    labels: ['code'],
  },
  trace_spans_total: {
    help: 'Spans of traces, by what became of them: sent, dropped.',
    labels: ['outcome'],
  },
  delivery_resets_total: {
    help: 'Streams told that a part of their history is gone.',
    labels: [],
  },
}

/** Every gauge. */
export const GAUGES: Readonly<Record<GaugeName, Metric>> = {
  alerts: { help: 'Alerts that last.', labels: [] },
  store_jobs_failing: {
    help: 'Background jobs of the database (refreshing candles, compressing, removing) that failed the last time.',
    labels: [],
  },
  actors: { help: 'State machines in a state.', labels: ['machine', 'state'] },
  source_queue_items: { help: 'Events of a source that wait for the producer.', labels: ['source'] },
  source_queue_ratio: { help: "The same as a share of the queue's capacity.", labels: ['source'] },
  consumer_lag_records: {
    help: 'Records between a consumer and the end of its partition.',
    labels: ['topic', 'partition'],
  },
  source_books: {
    help: 'Order books of a source: valid, or in doubt, those among them that have not come yet.',
    labels: ['source', 'state'],
  },
  source_way: { help: 'Which way of a source delivers: 1, else 0.', labels: ['source', 'way'] },
  server_up: {
    help: 'Whether a server that this process uses answers it: 1, else 0. Servers: broker, database.',
    labels: ['server'],
  },
  streams: { help: 'Live streams (leases).', labels: [] },
  topics: { help: 'Topics of streams.', labels: [] },
  event_loop_delay_seconds: { help: 'How late the last look at the process began.', labels: [] },
  limit_ratio: {
    help: 'Use of a limit of the configuration: 1 is the limit. Resources: heap, event_loop, streams, topics, sockets.',
    labels: ['resource'],
  },
  overloaded: {
    help: 'Whether this process takes no new streams, by its heap or its event loop: 1, else 0.',
    labels: [],
  },
  processes: { help: 'Live processes that have a role, as this process has heard.', labels: ['role'] },
  partitions_assigned: {
    help: 'Partitions that a consumer group gives this process.',
    labels: ['group'],
  },
  shards_owned: { help: 'Source shards that this process publishes.', labels: [] },
  leader: { help: 'Whether this process leads the coordinators: 1, else 0.', labels: [] },
  sockets: { help: 'Open WebSockets of applications.', labels: [] },
  event_streams: { help: 'Streams that applications read as server-sent events.', labels: [] },
  catch_up_readers: {
    help: 'Readers that serve applications from the log, at most 16 in a process.',
    labels: [],
  },
  webhooks: { help: 'Webhooks that this process serves.', labels: [] },
}

/** Every timer, a histogram of seconds. */
export const TIMERS: Readonly<Record<TimerName, Timer>> = {
  store_write_seconds: {
    help: 'Time of one transaction of rows and offsets.',
    labels: [],
    buckets: STORAGE_SECONDS,
  },
  broker_publish_seconds: {
    help: 'Time from publishing a batch to its acknowledgement, to fixed or dynamic topics.',
    labels: ['topics'],
    buckets: STORAGE_SECONDS,
  },
  hop_seconds: {
    help: 'Time of one hop on the way of the data. received: from the exchange to this process, by both clocks; published: to the acknowledgement in a fixed topic; stored: from there to the commit in the database; delivered: from the receipt to the hand-over to an application. Of the first event of each batch, delivered of the last.',
    labels: ['hop'],
    buckets: HOP_SECONDS,
  },
  delivery_latency_seconds: {
    help: 'Time from the receipt of an event from its source to its hand-over to an application.',
    labels: [],
    buckets: LATENCY_SECONDS,
  },
  webhook_request_seconds: {
    help: 'Time of an attempt to send a message to the receiver of a webhook.',
    labels: [],
    buckets: STORAGE_SECONDS,
  },
  http_request_seconds: {
    help: 'Time of a request to the gateway.',
    labels: ['method', 'route', 'status'],
    buckets: STORAGE_SECONDS,
  },
}
