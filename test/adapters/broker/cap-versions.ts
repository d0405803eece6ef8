import { REQUESTS } from '../../../src/adapters/broker/kafka/protocol.ts'
import type { Rewriting } from '../../servers/tcp-proxy.ts'

/** The oldest version of each request that the adapter speaks, by the request's key. */
const OLDEST = new Map<number, number>(
  Object.values(REQUESTS).map((versions) => {
    const oldest = versions[versions.length - 1] ?? versions[0]
    return [oldest.key, oldest.version]
  }),
)

/**
 * Makes a broker say that it speaks no later versions than those. Its answer to the question for them is the first thing that it
 * sends: size, correlation id, error code, then key, least and greatest version, and a byte for what may come later.
 */
export function capVersions(): Rewriting {
  let isFirst = true
  const toClient = (data: Buffer): Buffer => {
    if (!isFirst) return data
    isFirst = false
    const [count, length] = readUnsigned(data, 10)
    for (let i = 0; i < count - 1; i++) {
      const at = 10 + length + i * 7
      const oldest = OLDEST.get(data.readInt16BE(at))
      if (oldest !== undefined) data.writeInt16BE(Math.min(oldest, data.readInt16BE(at + 4)), at + 4)
    }
    return data
  }
  return { toClient }
}

function readUnsigned(data: Buffer, start: number): [value: number, length: number] {
  let value = 0
  for (let i = 0; ; i++) {
    const byte = data[start + i] ?? 0
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return [value, i + 1]
  }
}
