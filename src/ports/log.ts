/** A log line has fields first, then the message; never a secret. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(bindings: object): Log
}

/**
 * Counts and measures. Names are Prometheus names without the prefix `tapeline_`; `src/telemetry/metrics.ts` says what each means and which
 * labels it has. Calls never throw. One costs about a microsecond, so it belongs around a batch, not a record.
 */
export interface Meter {
  count(name: CounterName, amount?: number, labels?: Readonly<Record<string, string>>): void
  gauge(name: GaugeName, value: number, labels?: Readonly<Record<string, string>>): void
  /** Seconds. */
  observe(name: TimerName, seconds: number, labels?: Readonly<Record<string, string>>): void
}

export type CounterName =
  | 'transitions_total'
  | 'state_seconds_total'
  | 'actor_errors_total'
  | 'actor_restarts_total'
  | 'alerts_total'
  | 'source_frames_total'
  | 'source_malformed_total'
  | 'source_duplicates_total'
  | 'source_out_of_order_total'
  | 'source_reconnects_total'
  | 'source_conflated_total'
  | 'source_dropped_total'
  | 'source_book_doubts_total'
  | 'source_book_resyncs_total'
  | 'published_records_total'
  | 'duplicates_dropped_total'
  | 'reentering_total'
  | 'maybe_repeated_total'
  | 'trade_conflicts_total'
  | 'oversized_events_total'
  | 'oversized_derived_total'
  | 'gaps_total'
  | 'gaps_recovered_total'
  | 'derived_records_total'
  | 'late_events_total'
  | 'stored_rows_total'
  | 'dead_letters_total'
  | 'dead_letters_replayed_total'
  | 'broker_errors_total'
  | 'store_errors_total'
  | 'rebalances_total'
  | 'delivered_events_total'
  | 'delivery_catch_ups_total'
  | 'delivery_resets_total'
  | 'delivery_slow_total'
  | 'delivery_skipped_events_total'
  | 'webhook_requests_total'
  | 'webhook_events_total'
  | 'refused_total'
  | 'trace_spans_total'

export type GaugeName =
  | 'alerts'
  | 'actors'
  | 'consumer_lag_records'
  | 'source_queue_items'
  | 'source_queue_ratio'
  | 'store_jobs_failing'
  | 'server_up'
  | 'source_way'
  | 'source_books'
  | 'streams'
  | 'sockets'
  | 'event_streams'
  | 'webhooks'
  | 'catch_up_readers'
  | 'processes'
  | 'partitions_assigned'
  | 'shards_owned'
  | 'leader'
  | 'topics'
  | 'event_loop_delay_seconds'
  | 'limit_ratio'
  | 'overloaded'

export type TimerName =
  | 'store_write_seconds'
  | 'broker_publish_seconds'
  | 'hop_seconds'
  | 'delivery_latency_seconds'
  | 'http_request_seconds'
  | 'webhook_request_seconds'
