/**
 * What a database can do beyond plain PostgreSQL: `hypertables` with TimescaleDB under any licence, `community` with
 * TimescaleDB under its community licence (continuous aggregates, columnstore, policies).
 */
export type Capability = 'hypertables' | 'community'

/**
 * One step of the schema. Once released its `sql` never changes: the checksum is checked at each start.
 * Where the database lacks what it needs, it is left out, and applied at the start at which the database has it.
 */
export interface Migration {
  readonly id: number
  readonly name: string
  readonly needs?: Capability
  readonly sql: string
  /** Stands in while `needs` is not met. Run at each start, so it must be repeatable; `sql` removes what it made. */
  readonly substitute?: string
}
