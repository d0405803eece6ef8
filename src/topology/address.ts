import type { Listening } from '../gateway/listening.ts'

/** The address of a server as this machine reaches it: one that listens on all addresses is reached on the loopback one. */
export function addressOf({ address, port }: Listening): string {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
