import type { IncomingMessage } from 'node:http'
import { startTimer } from '../../../async/timers.ts'
import { type ErrorCode, TapelineError } from '../../../errors.ts'

/** As much of a service's words as is shown. */
const MOST_SHOWN = 200

/** As much of the body of an HTTP answer as is read for its words, and how long it may take. */
const MOST_BODY_BYTES = 64 * 1024
const BODY_MS = 1_000

/** A shorter text is too common to be taken out of others: it would garble them. */
const SHORTEST_SECRET = 4
const SHORTEST_QUERY_SECRET = 8

const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\s]+/gu

/** Takes secrets out of a text, however they are written in it. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  const forms = secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .flatMap((secret) => [
      secret,
      encodeURIComponent(secret),
      new URLSearchParams([['', secret]]).toString().slice(1),
    ])
  const longestFirst = [...new Set(forms)].sort((a, b) => b.length - a.length)
  return (text) => longestFirst.reduce((shown, secret) => shown.replaceAll(secret, '***'), text)
}

/** The parts of an address that may be secret: its password, and the values of its query. */
export function secretsOf({ password, searchParams }: URL): readonly string[] {
  const values = [...searchParams.values()].filter((value) => value.length >= SHORTEST_QUERY_SECRET)
  return [password, decoded(password), ...values].filter(Boolean)
}

/** A password as it was before it was written into an address; as it stands there where its % encodes nothing. */
function decoded(password: string): string {
  try {
    return decodeURIComponent(password)
  } catch {
    return password
  }
}

/** A text of a service as it may be shown: one line, without secrets, and not too long. */
export function shownWords(text: string, redact: (text: string) => string): string {
  const shown = redact(text.replaceAll(UNSEEN, ' ').trim())
  return shown.length > MOST_SHOWN ? cutText(shown, MOST_SHOWN) : shown
}

/** The beginning of a text, without half a character at its end. */
export function cutText(text: string, length: number): string {
  const cut = text.slice(0, length)
  return cut.isWellFormed() ? cut : cut.slice(0, -1)
}

/** Where services put what they have to say in the body of an answer. */
const MESSAGE_FIELDS = [
  'message',
  'Message',
  'error_description',
  'reason',
  'detail',
  'msg',
  'error',
  'Err',
  'title',
]

/** What the body of an HTTP answer says: the message in its JSON, or its text without tags. Empty where it says nothing. */
export function wordsOfBody(body: string): string {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return body.replaceAll(/<(style|script)\b.*?<\/\1>|<[^>]*>/gis, ' ').trim()
  }
  return messageIn(value) ?? ''
}

function messageIn(value: unknown, depth = 0): string | undefined {
  if (typeof value === 'string') return value.trim() || undefined
  if (typeof value !== 'object' || value === null || depth > 2) return undefined
  const fields = Array.isArray(value) ? value.slice(0, 1) : MESSAGE_FIELDS.map((name) => Object(value)[name])
  for (const field of fields) {
    const found = messageIn(field, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

/** The body of an answer as text, as much as is read of it. Never rejects. */
export function readBody(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const end = () => {
      late.stop()
      resolve(Buffer.concat(chunks).subarray(0, MOST_BODY_BYTES).toString())
    }
    const late = startTimer(end, BODY_MS)
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size >= MOST_BODY_BYTES) end()
    })
    for (const event of ['end', 'error', 'close']) response.once(event, end)
  })
}

const CODE_OF_WORDS: readonly (readonly [RegExp, ErrorCode])[] = [
  [
    /rate.?limit|(msg|message|request) rate|too many (requests|connections|sockets|calls|visits)|too frequent|throttl/i,
    'SOURCE_RATE_LIMITED',
  ],
  [
    /auth|forbidden|credential|permission|(api|access|auth|the|your|valid|invalid)[ _-]*key\b|\bkey (has|is|was)\b/i,
    'SOURCE_UNAUTHORIZED',
  ],
]

/** The error of a service that refuses in words, where no status or type of its protocol says more. */
export function refusalInWords(way: string, words: string): TapelineError {
  const found = CODE_OF_WORDS.find(([pattern]) => pattern.test(words))
  return new TapelineError(found?.[1] ?? 'SOURCE_UNAVAILABLE', `${way}: ${words}`)
}

/** The error of an HTTP status, with what the body says (as it may be shown). */
export function refusalByStatus(way: string, status: number, words: string): TapelineError {
  const message = `${way}: refused with HTTP ${status}${words && `: ${words}`}`
  return new TapelineError(CODE_OF_STATUS[status] ?? refusalInWords(way, words).code, message)
}

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'SOURCE_UNAUTHORIZED',
  403: 'SOURCE_UNAUTHORIZED',
  429: 'SOURCE_RATE_LIMITED',
}

/** Whether a service's words name a market. */
export function namesMarket(words: string, name: string): boolean {
  const text = words.toLowerCase()
  const wanted = name.toLowerCase()
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1))
    if (!goesOn(text, at - 1, -1) && !goesOn(text, at + wanted.length, 1)) return true
  return false
}

/** Whether a word goes on at a place, in a direction: BTC-USDT-SWAP is another market than BTC-USDT. */
function goesOn(text: string, at: number, step: 1 | -1): boolean {
  return isLetter(text[at]) || ('-/_'.includes(text[at] ?? ' ') && isLetter(text[at + step]))
}

function isLetter(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}]/u.test(character)
}
