import { crc32After, hashOf, type TextHash } from './crc32.ts'

/** What a checksum is made of: the text of each level as the exchange hashes it, the best first. */
export interface LevelHashes {
  readonly bids: readonly TextHash[]
  readonly asks: readonly TextHash[]
}

interface Checksum {
  /** So many levels of each side are in it. */
  readonly depth: number
  /** As a whole number of 32 bits; exchanges send it with and without a sign. */
  readonly of: (hashes: LevelHashes) => number
}

const COLON = hashOf(':')

function asksThenBids({ bids, asks }: LevelHashes): number {
  let crc = 0
  for (const hash of asks) crc = crc32After(crc, hash)
  for (const hash of bids) crc = crc32After(crc, hash)
  return crc
}

/** The texts of both sides in turns, a bid first; the longer side goes on alone. */
function inTurns({ bids, asks }: LevelHashes): number {
  let crc: number | undefined
  for (let i = 0; i < Math.max(bids.length, asks.length); i++)
    for (const hash of [bids[i], asks[i]])
      if (hash !== undefined) crc = crc === undefined ? hash.crc : crc32After(crc32After(crc, COLON), hash)
  return crc ?? 0
}

/**
 * How exchanges hash a book.
 * - `asks-then-bids`: Kraken. A level's text is its price and its size, without dots and leading zeros.
 *   Format: https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
 * - `in-turns`: Bitfinex (`price:amount`, an ask's amount negative), and OKX before June 2026 (`price:size`).
 *   Format: https://docs.bitfinex.com/docs/ws-websocket-checksum
 */
export const CHECKSUMS = {
  'asks-then-bids': { depth: 10, of: asksThenBids },
  'in-turns': { depth: 25, of: inTurns },
} as const satisfies Record<string, Checksum>

export type ChecksumName = keyof typeof CHECKSUMS

/** Whether a checksum that an exchange sent, with or without a sign, is that of these levels. */
export function isChecksum(name: ChecksumName, hashes: LevelHashes, sent: number): boolean {
  return Number.isInteger(sent) && CHECKSUMS[name].of(hashes) === sent >>> 0
}

/** The text of a level as Kraken hashes it, from the digits of its price and size. */
export function krakenLevelText(price: string, size: string): string {
  return krakenDigits(price) + krakenDigits(size)
}

/** The digits of a number as Kraken hashes them: without the dot and the zeros in front. */
export function krakenDigits(number: string): string {
  const dot = number.indexOf('.')
  const digits = dot < 0 ? number : number.slice(0, dot) + number.slice(dot + 1)
  let at = 0
  while (digits.charCodeAt(at) === ZERO) at++
  return at === 0 ? digits : digits.slice(at)
}

const ZERO = 48
