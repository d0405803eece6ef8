import type { KeyRecord } from './registry-records.ts'

/** The keys in the registry, by id and by what is kept of their texts. */
export class KeyView {
  readonly #keys = new Map<string, KeyRecord>()
  readonly #byDigest = new Map<string, KeyRecord>()

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

  set(key: KeyRecord): void {
    this.delete(key.id)
    this.#keys.set(key.id, key)
    this.#byDigest.set(key.digest, key)
  }

  delete(id: string): void {
    const key = this.#keys.get(id)
    if (key === undefined) return
    this.#keys.delete(id)
    this.#byDigest.delete(key.digest)
  }
}
