import { createReadStream, createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline, type Readable, type Transform } from 'node:stream'
import { constants, createGunzip, createGzip, createZstdCompress, createZstdDecompress } from 'node:zlib'

interface Compression {
  /** What the names of files end with. */
  readonly ending: string
  readonly magic: readonly number[]
  readonly compress: () => Transform & { flush(kind: number, done: () => void): void }
  /** Has all that was written reach the file. */
  readonly flushKind: number
  /** Gives what there is of a file that was cut too. */
  readonly uncompress: () => Transform
}

/** How recordings are compressed, by name: what Node has by itself. */
export const COMPRESSIONS = {
  gzip: {
    ending: '.gz',
    magic: [0x1f, 0x8b],
    compress: () => createGzip(),
    flushKind: constants.Z_SYNC_FLUSH,
    uncompress: () => createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }),
  },
  zstd: {
    ending: '.zst',
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    compress: () => createZstdCompress(),
    flushKind: constants.ZSTD_e_flush,
    uncompress: () => createZstdDecompress({ finishFlush: constants.ZSTD_e_flush }),
  },
} as const satisfies Readonly<Record<string, Compression>>

export type CompressionName = keyof typeof COMPRESSIONS

/** The bytes of a file, as they were before it was compressed. Its iteration rejects where they cannot be read. */
export async function openUncompressed(path: string, signal: AbortSignal): Promise<Readable> {
  const begin = await beginOf(path)
  const found = Object.values(COMPRESSIONS).find(({ magic }) => magic.every((byte, i) => begin[i] === byte))
  const file = createReadStream(path, { signal })
  if (found === undefined) return file
  const bytes = found.uncompress()
  // A failure of either is that of the bytes, whose reader hears of it.
  pipeline(file, bytes, () => undefined)
  return bytes
}

async function beginOf(path: string): Promise<Uint8Array> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** A new file that takes text and may be compressed. */
export interface CompressedFile {
  readonly path: string
  /** How many bytes it has so far, and how many wait to be written. */
  readonly bytes: number
  readonly waiting: number
  write(text: string): void
  /** Has what was written so far survive the end of the process. */
  flush(): void
  /** Rejects where something could not be written. */
  close(): Promise<void>
}

/** Makes a file, which must not be there. `failed` hears once of what cannot be written. */
export function createCompressedFile(
  path: string,
  compression: CompressionName | undefined,
  failed: (error: Error) => void,
): CompressedFile {
  const file = createWriteStream(path, { flags: 'wx' })
  const kind = compression && COMPRESSIONS[compression]
  const compressed = kind?.compress()
  const input = compressed ?? file
  const ended = Promise.withResolvers<void>()
  const end = (error?: Error | null): void => {
    if (error) {
      failed(error)
      ended.reject(error)
    } else ended.resolve()
  }
  ended.promise.catch(() => undefined)
  if (compressed) pipeline(compressed, file, end)
  else {
    file.once('error', end)
    file.once('close', () => end())
  }
  return {
    path,
    get bytes() {
      return file.bytesWritten
    },
    get waiting() {
      return input.writableLength + (compressed ? file.writableLength : 0)
    },
    write: (text) => void input.write(text),
    flush() {
      if (compressed && kind) compressed.flush(kind.flushKind, () => undefined)
    },
    close() {
      input.end()
      return ended.promise
    },
  }
}
