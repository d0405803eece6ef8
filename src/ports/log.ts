/** What every part may write: fields first, then the message; never a secret. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(bindings: object): Log
}

/** Counts and measures. Names are Prometheus names without the prefix `tapeline_`. */
export interface Meter {
  count(name: MeterName, amount?: number, labels?: Readonly<Record<string, string>>): void
  gauge(name: MeterName, value: number, labels?: Readonly<Record<string, string>>): void
  /** Seconds. */
  observe(name: MeterName, seconds: number, labels?: Readonly<Record<string, string>>): void
}

export type MeterName =
  | 'transitions_total'
  | 'actor_restarts_total'
  | 'source_frames_total'
  | 'source_malformed_total'
  | 'source_duplicates_total'
  | 'source_reconnects_total'
  | 'published_records_total'
  | 'duplicates_dropped_total'
  | 'reentering_total'
  | 'gaps_total'
  | 'derived_records_total'
  | 'stored_rows_total'
  | 'dead_letters_total'
  | 'consumer_lag_records'
  | 'delivered_events_total'
  | 'delivery_resets_total'
  | 'streams'
  | 'sockets'
  | 'store_write_seconds'
  | 'broker_publish_seconds'
  | 'delivery_latency_seconds'
