import { TapelineError } from '../../errors.ts'

/** What an aborted wait rejects with: TIMEOUT where a deadline passed, else the signal's own reason. */
export function abortReason(signal: AbortSignal | undefined): unknown {
  const reason: unknown = signal?.reason
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return new TapelineError('TIMEOUT', 'The broker did not answer in time.', { cause: reason })
  }
  return reason
}
