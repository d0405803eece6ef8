import { onAbort } from '../async/abort.ts'
import { withDeadline } from '../async/deadline.ts'
import { TapelineError } from '../errors.ts'
import type { Broker } from '../ports/broker.ts'
import type { DeadLetterContent, DeadLetters, ReentryResult } from '../ports/dead-letters.ts'
import type { Log } from '../ports/log.ts'
import type { ControlBus } from './bus.ts'
import { DeadLetterIndex, type IndexedLetter } from './dead-letter-index.ts'
import { type LetterRecord, readLetters } from './dead-letter-records.ts'
import type { Membership } from './membership.ts'
import type { PlatformNames } from './names.ts'
import { CONTROL_VERSION } from './record-format.ts'

/** Letters of one REPLAY_REQUEST: its record stays small, and a producer's batch short. */
const LETTERS_A_REQUEST = 100

interface DeskParts {
  readonly instance: string
  readonly broker: Broker
  readonly names: PlatformNames
  readonly bus: ControlBus
  readonly membership: Membership
  readonly newId: () => string
  readonly log: Log
  /** How long producers have to answer one request, in milliseconds. */
  readonly answerMs?: number
}

/** The dead letters as this process sees them. It asks over the control topic that they enter again, and the producers publish them. */
export function createDeadLetterDesk(desk: DeskParts): DeadLetters {
  const { broker, names, instance, bus, membership, newId, log, answerMs = 10_000 } = desk
  const index = new DeadLetterIndex(broker, names.deadLetters, log)

  /** Sends one request and gathers what producers answer, until every letter is answered or the time is over. */
  const request = async (
    letters: readonly IndexedLetter[],
    answers: Map<string, ReentryResult>,
    signal: AbortSignal,
  ): Promise<void> => {
    const requestId = newId()
    const answered = Promise.withResolvers<void>()
    const off = bus.on('REPLAY_RESULT', (record) => {
      if (record.requestId !== requestId) return
      for (const result of record.results) answers.set(result.id, result)
      if (letters.every(({ id }) => answers.has(id))) answered.resolve()
    })
    try {
      await withDeadline(signal, answerMs, async (deadline) => {
        onAbort(deadline, answered.resolve)
        await bus.send(
          [
            {
              ...{ v: CONTROL_VERSION, kind: 'REPLAY_REQUEST', instance, requestId },
              letters: letters.map(({ id, at }) => ({ id, at })),
            },
          ],
          deadline,
        )
        await answered.promise
      })
    } finally {
      off()
    }
  }

  const reenterAll = async (
    letters: readonly IndexedLetter[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ReentryResult>> => {
    const answers = new Map<string, ReentryResult>()
    for (let i = 0; i < letters.length && !signal.aborted; i += LETTERS_A_REQUEST) {
      if (!membership.live().some(({ roles }) => roles.includes('producer'))) break
      await request(letters.slice(i, i + LETTERS_A_REQUEST), answers, signal)
    }
    return answers
  }

  return {
    async list(filter, { limit, before = Number.POSITIVE_INFINITY }) {
      await index.refresh()
      const matching = index.matching(filter)
      const older = matching.filter(({ at }) => at < before)
      const shown = older.slice(-limit).reverse()
      const next = older.length > shown.length ? (shown.at(-1)?.at ?? null) : null
      return { letters: shown.map(shownOf), total: matching.length, next }
    },
    async get(id, signal) {
      await index.refresh()
      const letter = index.get(id)
      const body =
        letter && (await readLetters(broker, names.deadLetters, [letter.at], signal)).get(letter.at)
      if (letter && body) return contentOf(letter, body)
      throw new TapelineError('DEAD_LETTER_UNKNOWN', `there is no dead letter ${id}`)
    },
    async reenter(ids, signal) {
      await index.refresh()
      const letters = [...new Set(ids)].flatMap((id) => index.get(id) ?? [])
      const answers = await reenterAll(letters, signal)
      return ids.map((id) => answers.get(id) ?? (index.get(id) ? unanswered(id) : { id, outcome: 'unknown' }))
    },
    async reenterMatching(filter, { limit, from = 0 }, signal) {
      await index.refresh()
      const waiting = index.matching(filter).filter(({ at }) => at >= from)
      const letters = waiting.slice(0, limit)
      const answers = await reenterAll(letters, signal)
      const results = letters.map(({ id }) => answers.get(id) ?? unanswered(id))
      return { results, next: waiting[limit]?.at ?? null }
    },
  }
}

function unanswered(id: string): ReentryResult {
  return { id, outcome: 'not-owned', reason: 'no producer that owns its shard has answered' }
}

function shownOf({ at: _at, ...letter }: IndexedLetter): Omit<IndexedLetter, 'at'> {
  return letter
}

function contentOf(letter: IndexedLetter, body: LetterRecord): DeadLetterContent {
  const bytes = Buffer.from(body.bytes, 'base64')
  const text = textOf(bytes)
  return {
    ...shownOf(letter),
    reason: body.reason,
    key: body.key,
    version: body.headers.v,
    fields: body.fields,
    encoding: text === undefined ? 'base64' : 'utf8',
    value: text ?? body.bytes,
    complete: bytes.length === body.size,
  }
}

/** Characters that no text has: a value with them is shown in base64. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is searched for
const NO_TEXT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/

function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return NO_TEXT.test(text) ? undefined : text
  } catch {
    return undefined
  }
}
