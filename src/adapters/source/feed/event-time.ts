/** 2009-01-01, in microseconds: the year in which the first of these markets began. */
const EARLIEST = 1_230_768_000_000_000

/** How far after its arrival the time of an event may lie where nothing else is configured: clocks differ. */
export const MAX_SKEW_MS = 60_000

/**
 * Whether an event can have happened at `ts` (microseconds) when it arrived at `recvTs` (R28). What cannot be is refused, so that
 * it moves neither a window nor a gap nor an order.
 */
export function isPlausible(ts: number, recvTs: number, maxSkewMs: number): boolean {
  return ts >= EARLIEST && ts <= recvTs + maxSkewMs * 1_000
}
