import type { Market, MarketQuery } from '../../../domain/markets.ts'
import type { StoredRow } from '../../../domain/stored-rows.ts'
import type {
  CandleQuery,
  Claim,
  ClaimTarget,
  MigrationReport,
  RowQuery,
  SqlResult,
} from '../../../ports/store.ts'
import type { PolicySettings } from '../policies.ts'
import type { ReadOnlyQuery } from '../read-only-query.ts'
import type { WritePlan } from '../write.ts'

/** A WebAssembly.Module: what travels between threads is a reference. */
export type Program = object

/** What the worker is started with. */
export interface WorkerSettings {
  readonly folder: string
  readonly policies: PolicySettings
  /** Maintenance is wanted at once: an earlier thread has brought the schema up to date. */
  readonly maintained: boolean
  /** The database's program, where an earlier thread has compiled it. */
  readonly program?: Program
}

/** What the worker can be asked, with what travels each way. */
export interface Operations {
  migrate: { readonly args: undefined; readonly reply: MigrationReport }
  claim: { readonly args: readonly ClaimTarget[]; readonly reply: readonly Claim[] }
  write: { readonly args: WritePlan; readonly reply: undefined }
  trades: { readonly args: RowQuery; readonly reply: readonly StoredRow<'trade'>[] }
  quotes: { readonly args: RowQuery; readonly reply: readonly StoredRow<'quote'>[] }
  candles: { readonly args: CandleQuery; readonly reply: readonly StoredRow<'candle'>[] }
  markets: { readonly args: MarketQuery; readonly reply: readonly Market[] }
  query: { readonly args: ReadOnlyQuery; readonly reply: SqlResult }
  maintain: {
    readonly args: MaintenanceRequest
    readonly reply: MaintenanceReport & { readonly memoryBytes: number }
  }
  close: { readonly args: undefined; readonly reply: undefined }
}

export type OperationName = keyof Operations

/** How much the worker has to do: `idle` means that hardly anything waits or has waited lately. */
export interface MaintenanceRequest {
  readonly load: 'busy' | 'light' | 'idle'
}

/** What one step of maintenance did, and what a person should know about it. */
export interface MaintenanceReport {
  /** What was tried, and whether the database refused; undefined where nothing was due. */
  readonly task?: string
  readonly failed?: true
  readonly did: string | undefined
  readonly problem: string | undefined
}
