import type { OutgoingRecord } from '../../ports/broker.ts'

/**
 * The records of a write, of which the first one says where its owner expects it: there, or in the topic of a stream, where others write too, not in front of that. An owner that dies
 * before it gets to know that the records lie in the place of a lost end leaves that word to the next one (R8).
 */
export function expectedAt(expected: number, records: readonly OutgoingRecord[]): readonly OutgoingRecord[] {
  const [first] = records
  if (first === undefined || expected === 0) return records
  return records.with(0, { ...first, headers: { ...first.headers, expected } })
}
