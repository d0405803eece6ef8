/** What a key may be used for: reading streams and history; making and ending streams and webhooks; everything. */
export const SCOPES = ['read', 'streams', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** The most that an application may have at once by a key, in one gateway; left out: no bound but those of the configuration. */
export interface Quotas {
  readonly streams?: number
  readonly sockets?: number
  readonly webhooks?: number
  /** What its sockets and event streams get together; more waits. */
  readonly eventsPerSecond?: number
}

/** A key of an application (R26). Nobody has its text but who made it: `digest` is the SHA-256 of that, in hexadecimal. */
export interface IssuedKey {
  readonly id: string
  readonly digest: string
  /** The application, which owns what it asks for. */
  readonly app: string
  readonly scopes: readonly Scope[]
  readonly quotas: Quotas
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Null while the key is good. */
  readonly revokedAt: number | null
}

/** The keys that were made while the platform ran. */
export interface KeyDesk {
  /** Makes a key; the asker makes its id. Raises KEY_LIMIT, CONTROL_UNAVAILABLE. */
  create(
    key: Pick<IssuedKey, 'id' | 'digest' | 'app' | 'scopes' | 'quotas'>,
    signal: AbortSignal,
  ): Promise<IssuedKey>
  /** Revokes a key: every gateway turns it away from then on, and closes what it has open. Raises KEY_UNKNOWN, CONTROL_UNAVAILABLE. */
  revoke(id: string, signal: AbortSignal): Promise<void>
  /** All keys, revoked ones too, the oldest first. */
  list(): readonly IssuedKey[]
  /** The key of a digest, also where it is revoked. */
  find(digest: string): IssuedKey | undefined
  get(id: string): IssuedKey | undefined
}
