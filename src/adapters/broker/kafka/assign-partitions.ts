import { partitionKey } from '../../../domain/record.ts'
/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** A member of a group, as its leader sees it. */
export interface Subscriber {
  readonly id: string
  readonly topics: readonly string[]
  /** What it has, and since which generation: who has claimed last is believed. */
  readonly owned: readonly TopicPartition[]
  readonly generation: number
}

/**
 * Who gets which partitions. Partition k of every topic goes to the same member, so that the partitions of a shard stay together;
 * everybody keeps what it has, as far as the shares are even. What another member still has is given to nobody: when that one
 * has given it up, the group comes together again. Source: https://cwiki.apache.org/confluence/display/KAFKA/KIP-429
 */
export function assignPartitions(
  members: readonly Subscriber[],
  counts: ReadonlyMap<string, number>,
): ReadonlyMap<string, readonly TopicPartition[]> {
  const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const ownerOf = currentOwners(sorted)
  const holderOf = distribute(sorted, Math.max(0, ...counts.values()), ownerOf)
  const assigned = new Map(sorted.map(({ id }) => [id, [] as TopicPartition[]]))
  for (const [topic, count] of counts) {
    const readers = sorted.filter(({ topics }) => topics.includes(topic))
    for (let partition = 0; partition < count; partition++) {
      const holder =
        readers.find(({ id }) => id === holderOf[partition]) ?? readers[partition % readers.length]
      if (holder === undefined) continue
      const owner = ownerOf.get(partitionKey({ topic, partition }))
      if (owner === undefined || owner === holder.id) assigned.get(holder.id)?.push({ topic, partition })
    }
  }
  return assigned
}

/** Which member has each partition. */
function currentOwners(members: readonly Subscriber[]): ReadonlyMap<string, string> {
  const owners = new Map<string, string>()
  for (const { id, owned, topics } of members.toSorted((a, b) => a.generation - b.generation)) {
    for (const place of owned) if (topics.includes(place.topic)) owners.set(partitionKey(place), id)
  }
  return owners
}

/** A member for each partition number: the one that has it, unless that has too many. */
function distribute(
  members: readonly Subscriber[],
  numbers: number,
  ownerOf: ReadonlyMap<string, string>,
): readonly (string | undefined)[] {
  if (members.length === 0) return []
  const has = Array.from({ length: numbers }, (_, k) => {
    const owner = [...ownerOf].find(([key]) => key.endsWith(`:${k}`))
    return owner?.[1]
  })
  const least = Math.floor(numbers / members.length)
  let larger = numbers % members.length
  const held = new Map(members.map(({ id }) => [id, 0]))
  const holders: (string | undefined)[] = has.map((owner) => {
    if (owner === undefined) return undefined
    const count = held.get(owner) ?? 0
    if (count > least || (count === least && larger === 0)) return undefined
    if (count === least) larger--
    held.set(owner, count + 1)
    return owner
  })
  return holders.map((holder) => {
    if (holder !== undefined) return holder
    const [fewest] = members.toSorted((a, b) => (held.get(a.id) ?? 0) - (held.get(b.id) ?? 0))
    if (fewest === undefined) return undefined
    held.set(fewest.id, (held.get(fewest.id) ?? 0) + 1)
    return fewest.id
  })
}
