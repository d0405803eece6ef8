import type { StoredRow } from '../../../domain/stored-rows.ts'
import { type ErrorCode, TapelineError } from '../../../errors.ts'
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
  migrate: { readonly args: undefined; readonly result: MigrationReport }
  claim: { readonly args: readonly ClaimTarget[]; readonly result: readonly Claim[] }
  write: { readonly args: WritePlan; readonly result: undefined }
  trades: { readonly args: RowQuery; readonly result: readonly StoredRow<'trade'>[] }
  quotes: { readonly args: RowQuery; readonly result: readonly StoredRow<'quote'>[] }
  candles: { readonly args: CandleQuery; readonly result: readonly StoredRow<'candle'>[] }
  query: { readonly args: ReadOnlyQuery; readonly result: SqlResult }
  maintain: {
    readonly args: MaintenanceRequest
    readonly result: MaintenanceReport & { readonly memoryBytes: number }
  }
  close: { readonly args: undefined; readonly result: undefined }
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

export type Request<K extends OperationName = OperationName> = {
  [Name in K]: { readonly id: number; readonly operation: Name; readonly args: Operations[Name]['args'] }
}[K]

/** An error as it crosses the thread: its class does not survive. */
export interface ErrorMessage {
  readonly code: ErrorCode
  readonly message: string
  readonly remedy: string
  readonly partitions: TapelineError['partitions']
}

export type Reply =
  | { readonly kind: 'opened'; readonly program: Program }
  | { readonly kind: 'unopened'; readonly error: ErrorMessage }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: ErrorMessage }
  /** The database has ended: the worker is of no more use. */
  | { readonly kind: 'ended'; readonly id: number; readonly error: ErrorMessage }

export function errorMessage({ code, message, remedy, partitions }: TapelineError): ErrorMessage {
  return { code, message, remedy, partitions }
}

export function errorOf({ code, message, remedy, partitions }: ErrorMessage): TapelineError {
  return new TapelineError(code, message, { remedy, partitions })
}
