import { startInterval } from '../async/timers.ts'
import type { KeyDesk } from '../ports/keys.ts'
import type { Caller } from './guard.ts'
import type { GatewayServer } from './server.ts'

/** How often it looks whether a key was revoked whose connections are open. */
const LOOK_EVERY_MS = 1_000

/** What ends when the key is revoked by which it was opened. */
export interface Revocable {
  /** Ends it in order. */
  close(): void
  /** Ends it a second later without its client, which did not do its part. */
  cut(): void
}

interface Opened extends Revocable {
  readonly keyId: string
  isClosing: boolean
}

/** Ends what keys have opened in this gateway once they are revoked (R26). Keys of the environment cannot be. */
export interface Revocations {
  /** Whether the key of the caller was revoked since it came. */
  isRevoked(caller: Caller): boolean
  /** Gives what ends the watch. */
  watch(caller: Caller, revocable: Revocable): () => void
  stop(): void
}

export function watchRevocations(issuedKeys: Pick<KeyDesk, 'get'>): Revocations {
  const opened = new Set<Opened>()
  // One that the registry has forgotten was revoked before.
  const isRevokedId = (keyId: string): boolean => issuedKeys.get(keyId)?.revokedAt !== null

  const look = startInterval(() => {
    for (const each of [...opened]) {
      if (!isRevokedId(each.keyId)) continue
      if (each.isClosing) each.cut()
      else each.close()
      each.isClosing = true
    }
  }, LOOK_EVERY_MS)

  return {
    isRevoked: ({ keyId }) => keyId !== undefined && isRevokedId(keyId),
    watch({ keyId }, { close, cut }) {
      if (keyId === undefined) return () => undefined
      const each = { keyId, close, cut, isClosing: false }
      opened.add(each)
      return () => opened.delete(each)
    },
    stop: () => look.stop(),
  }
}

/** Has every request of a key that was revoked meanwhile end: an answer may take hours. Sockets are told why by themselves. */
export function cutRevoked(app: GatewayServer, revocations: Pick<Revocations, 'watch'>): void {
  app.addHook('onRequest', async ({ caller, ws }, { raw }) => {
    if (ws || caller?.keyId === undefined) return
    const unwatch = revocations.watch(caller, { close: () => undefined, cut: () => raw.destroy() })
    raw.once('close', unwatch)
  })
}
