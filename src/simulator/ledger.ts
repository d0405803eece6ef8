import { type FileHandle, open } from 'node:fs/promises'
import { startTimer, type Timer } from '../async/timers.ts'
import { TapelineError } from '../errors.ts'

/** Lines wait this long, in ms, before they are written together. */
const FLUSH_AFTER = 50

/** Chars that may wait for the disk; beyond, no trade is emitted until it has caught up. */
const MOST_WAITING = 64 * 1024 * 1024

/**
 * The ledger: each emitted trade as one JSON line, appended to a file. Lines are in the file within about 100 ms, and all
 * of them after `flush` or `close`.
 */
export class Ledger {
  readonly #file: FileHandle
  readonly #path: string
  #waiting = ''
  #timer: Timer | undefined
  #writing: Promise<void> | undefined
  #failure: TapelineError | undefined

  private constructor(file: FileHandle, path: string) {
    this.#file = file
    this.#path = path
  }

  /** Opens the file for appending and makes it where it is missing. Raises DATA_FOLDER_UNUSABLE. */
  static async open(path: string): Promise<Ledger> {
    try {
      return new Ledger(await open(path, 'a'), path)
    } catch (error) {
      throw unusable(path, error)
    }
  }

  /** Whether the disk is too far behind for more. */
  get full(): boolean {
    return this.#waiting.length >= MOST_WAITING
  }

  /** Why a write failed; then nothing more is written. */
  get failure(): TapelineError | undefined {
    return this.#failure
  }

  /** Takes lines, each with its line feed, in ASCII. */
  append(lines: string): void {
    this.#waiting += lines
    this.#timer ??= startTimer(() => {
      this.#timer = undefined
      void this.#start()
    }, FLUSH_AFTER)
  }

  /** Resolves when everything appended is in the file. Raises DATA_FOLDER_UNUSABLE if a write failed. */
  async flush(): Promise<void> {
    this.#timer?.stop()
    this.#timer = undefined
    do await this.#start()
    while (this.#waiting !== '' && !this.#failure)
    if (this.#failure) throw this.#failure
  }

  /** Flushes and closes. */
  async close(): Promise<void> {
    try {
      await this.flush()
    } finally {
      await this.#file.close()
    }
  }

  /** One write at a time: joins the one that runs, or begins one. Never rejects. */
  #start(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting !== '' && !this.#failure) {
        const lines = this.#waiting
        this.#waiting = ''
        await this.#file.appendFile(lines, 'latin1')
      }
    } catch (error) {
      this.#failure = unusable(this.#path, error)
    }
  }
}

function unusable(path: string, error: unknown): TapelineError {
  return new TapelineError('DATA_FOLDER_UNUSABLE', `the ledger ${path} cannot be written`, {
    cause: error,
    remedy: 'Check the path, its permissions and the free space, or name another file.',
  })
}
