import type { ErrorCode } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import type { SimulatorOptions } from './simulator.ts'

/** Options that can be sent to a thread. */
export type ThreadOptions = Omit<SimulatorOptions, 'now' | 'log'>

/** What the thread is asked. */
export type ThreadRequest =
  | { readonly id: number; readonly op: 'stats' }
  | { readonly id: number; readonly op: 'misbehave'; readonly modes: readonly string[] }
  | { readonly id: number; readonly op: 'close' }

/** An error on its way between threads, which keep no classes. */
export interface SentError {
  readonly code: ErrorCode
  readonly message: string
  readonly remedy: string
}

export type LogLevel = Exclude<keyof Log, 'child'>

/** What the thread says. */
export type ThreadReport =
  | { readonly op: 'ready'; readonly port: number; readonly url: string; readonly websocketUrl: string }
  | { readonly op: 'refused'; readonly error: SentError }
  | { readonly op: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly op: 'failed'; readonly id: number; readonly error: SentError }
  | { readonly op: 'done' }
  | { readonly op: 'broken'; readonly error: SentError }
  | { readonly op: 'log'; readonly level: LogLevel; readonly fields: object; readonly message: string }
