import type { Config } from '../config.ts'
import { type Listening, refuseTaken, refuseUnsafe } from '../gateway/listening.ts'

/** The address of a server as this machine reaches it: one that listens on all addresses is reached on the loopback one. */
export function addressOf({ address, port, scheme }: Listening): string {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/**
 * Refuses an address that this process could not serve its API or its operations at, before anything is opened for it. Raises
 * PUBLIC_WITHOUT_KEYS, PORT_IN_USE, CONFIG_INVALID.
 */
export async function refuseUnusableAddress(config: Config): Promise<void> {
  const { roles, gateway, operations, apiKeys } = config
  if (!roles.includes('gateway')) return refuseTaken(operations)
  refuseUnsafe(gateway.host, apiKeys)
  await refuseTaken(gateway)
}
