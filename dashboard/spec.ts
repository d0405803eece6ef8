import type { StreamInfo } from '../src/client/index.ts'

/** What a stream takes, in one line. */
export function specText({
  channel,
  symbols,
  exchanges,
  where,
  every,
  interval,
  depth,
}: StreamInfo['spec']): string {
  const names =
    symbols.length > 4 ? `${symbols.slice(0, 4).join(' ')} and ${symbols.length - 4} more` : symbols.join(' ')
  const parts = [
    interval === undefined ? `${channel}s` : `${interval} candles`,
    `of ${names}`,
    exchanges.length > 0 && `on ${exchanges.join(', ')}`,
    where !== undefined && `where ${where}`,
    depth !== undefined && `${depth} best levels`,
    every !== undefined && `every ${every}`,
  ]
  return parts.filter((part) => part !== false).join(' ')
}
