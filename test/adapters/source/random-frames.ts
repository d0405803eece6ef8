import assert from 'node:assert/strict'
import fc from 'fast-check'
import { checkEvent } from '../../../src/domain/event-codec.ts'
import type { Source, SourceItem } from '../../../src/ports/source.ts'
import { SEED } from '../../seed.ts'
import type { Service } from './service.ts'
import { eventsOf, until } from './waiting.ts'

/** How many are sent. */
export const FRAMES = 10_000

type Json = fc.JsonValue

/** Keys that mean something to a reader, and those that trip careless code. */
function keysOf(valid: readonly object[]): fc.Arbitrary<string> {
  return fc.constantFrom(...valid.flatMap((frame) => Object.keys(frame)), '__proto__', 'toString', 'valueOf')
}

const odd: fc.Arbitrary<Json> = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<Json>('', '0', '2', '5', '24', '500', '401x', -1, 0, 1e300, 2 ** 53, null, true, [], {}),
  fc.record({ toString: fc.constant(1), valueOf: fc.constant(1) }),
)

/** Random bytes, random JSON, and valid frames with some fields changed, cut off, or with a byte flipped. */
function frames(valid: readonly object[]): fc.Arbitrary<Buffer> {
  const whole = fc.constantFrom(...valid)
  const changes = fc.dictionary(keysOf(valid), odd, { minKeys: 1, maxKeys: 3 })
  const mutated = fc.tuple(whole, changes).map(([frame, change]) => JSON.stringify({ ...frame, ...change }))
  const cut = fc.tuple(whole, fc.nat(400)).map(([frame, length]) => JSON.stringify(frame).slice(0, length))
  const flipped = fc.tuple(whole, fc.nat(), fc.nat(255)).map(([frame, at, byte]) => {
    const bytes = Buffer.from(JSON.stringify(frame))
    bytes[at % bytes.length] = byte
    return bytes
  })
  return fc.oneof(
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    fc.json({ maxDepth: 3 }).map((text) => Buffer.from(text)),
    mutated.map((text) => Buffer.from(text)),
    cut.map((text) => Buffer.from(text)),
    flipped,
  )
}

/** Refusals end a connection, as they should: they are tested elsewhere. */
const REFUSAL = /"TYPE":"?(401|429)"?[,}]|FORCE_DISCONNECT|rate limit/i

function randomFrames(valid: readonly object[]): Buffer[] {
  return fc
    .sample(frames(valid), { seed: SEED, numRuns: FRAMES })
    .filter((frame) => frame.length > 0 && !REFUSAL.test(frame.toString()))
}

/**
 * Sends random frames, many of them valid ones that are spoilt, and then a trade with the id `last`: none of them stops the source,
 * and it gives valid events only.
 */
export async function survive(
  source: Source,
  service: Service,
  {
    valid,
    last,
    seen: look,
  }: {
    readonly valid: readonly object[]
    readonly last: object
    /** Sees all that comes. */
    readonly seen?: (items: readonly SourceItem[]) => void
  },
): Promise<void> {
  const sent = randomFrames(valid)
  await until('the source is subscribed', () => source.health().way === 'websocket')
  const [socket] = service.sockets
  for (const frame of sent) socket?.send(frame, { binary: false })
  service.send(last)
  for (let isLast = false; !isLast; ) {
    const pulled = { maxItems: 10_000, lingerMs: 0, waitMs: 5_000 }
    const { items } = await source.next(pulled, AbortSignal.timeout(15_000))
    assert.ok(items.length > 0, 'the data stopped')
    assertValid(items)
    look?.(items)
    isLast = eventsOf(items, 'trade').some(({ id }) => id === 'last')
  }
  assert.equal(service.upgrades.length, 1, 'the connection was lost')
  const { frames: seen, malformed } = source.health().counters
  assert.ok(malformed > FRAMES / 4)
  assert.ok(seen > sent.length, 'every frame was looked at')
}

function assertValid(items: readonly SourceItem[]): void {
  for (const item of items) {
    if (item.channel === 'connection') checkEvent('status', item.status)
    else if (item.channel !== 'last-trade') checkEvent(item.channel, item.event)
  }
}
