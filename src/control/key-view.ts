import type { KeyRecord } from './registry-records.ts'

/** The keys in the registry, by id and by what is kept of their texts. */
export class KeyView {
  readonly #keys = new Map<string, KeyRecord>()
  readonly #byDigest = new Map<string, KeyRecord>()
  #good = 0

  get(id: string): KeyRecord | undefined {
    return this.#keys.get(id)
  }

  ofDigest(digest: string): KeyRecord | undefined {
    return this.#byDigest.get(digest)
  }

  values(): IterableIterator<KeyRecord> {
    return this.#keys.values()
  }

  get size(): number {
    return this.#keys.size
  }

  /** How many are not revoked. */
  get good(): number {
    return this.#good
  }

  set(key: KeyRecord): void {
    this.delete(key.id)
    this.#keys.set(key.id, key)
    this.#byDigest.set(key.digest, key)
    if (key.revokedAt === null) this.#good++
  }

  delete(id: string): void {
    const key = this.#keys.get(id)
    if (key === undefined) return
    this.#keys.delete(id)
    this.#byDigest.delete(key.digest)
    if (key.revokedAt === null) this.#good--
  }
}
