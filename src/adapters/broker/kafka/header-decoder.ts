import { type Position, parsePosition, type RecordHeaders } from '../../../domain/record.ts'

const POSITION = 'position'
/** Source: https://www.w3.org/TR/trace-context/ */
const TRACE = /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/

/**
 * Decodes the headers of records. Consecutive records mostly have the same ones, or the same but for the position, which
 * stands last: what is the same is decoded once.
 */
export class HeaderDecoder {
  #bytes: Buffer = Buffer.alloc(0)
  /** Where the headers of the record before lay, and where its position text did, if it had one. */
  #start = 0
  #end = 0
  #textStart = -1
  #decoded: RecordHeaders = { v: 0, kind: 'event' }

  /** Of the bytes from `start` to `end`, which stay as they are. */
  decode(bytes: Buffer, start: number, end: number): RecordHeaders {
    const isKnown = end - start === this.#end - this.#start && this.#isSame(bytes, start, end)
    if (!isKnown && !this.#isSameButPosition(bytes, start, end)) this.#decodeAll(bytes, start, end)
    return this.#decoded
  }

  #isSame(bytes: Buffer, start: number, end: number): boolean {
    return bytes.compare(this.#bytes, this.#start, this.#end, start, end) === 0
  }

  /** The length of the text may differ, by one digit more: then all is decoded. */
  #isSameButPosition(bytes: Buffer, start: number, end: number): boolean {
    if (this.#textStart < 0 || end - start !== this.#end - this.#start) return false
    const common = this.#textStart - this.#start
    if (bytes.compare(this.#bytes, this.#start, this.#textStart, start, start + common) !== 0) return false
    const position = parsePosition(bytes.toString('latin1', start + common, end))
    if (position === undefined) return false
    this.#decoded = { ...this.#decoded, position }
    this.#keep(bytes, start, end, start + common)
    return true
  }

  #decodeAll(bytes: Buffer, start: number, end: number): void {
    const texts = new Map<string, string>()
    let textStart = -1
    let at = start
    const number = (): number => {
      let value = 0
      for (let shift = 0; at < end; shift += 7) {
        const byte = bytes[at++] ?? 0
        value += (byte & 0x7f) * 2 ** shift
        if (byte < 0x80) break
      }
      return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    const text = (): string => {
      const length = Math.max(0, number())
      at += length
      return bytes.toString('utf8', at - length, at)
    }
    for (let count = number(); count > 0 && at < end; count--) {
      const key = text()
      const value = text()
      texts.set(key, value)
      textStart = key === POSITION && at === end ? at - value.length : -1
    }
    this.#decoded = fromTexts(texts)
    this.#keep(bytes, start, end, this.#decoded.position === undefined ? -1 : textStart)
  }

  #keep(bytes: Buffer, start: number, end: number, textStart: number): void {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#textStart = textStart
  }
}

/** A record that somebody else wrote may have any headers: what is not ours is passed over, and `v` is then 0. */
function fromTexts(texts: ReadonlyMap<string, string>): RecordHeaders {
  const kind = texts.get('kind')
  const [shard, epoch] = (texts.get('writer') ?? '').split(':').map(toCount)
  const expected = toCount(texts.get('expected') ?? '')
  const position = parsePosition(texts.get(POSITION) ?? '')
  const trace = texts.get('traceparent')
  return {
    v: toCount(texts.get('v') ?? '') ?? 0,
    kind: kind === 'marker' || kind === 'control' ? kind : 'event',
    ...(shard !== undefined && { shard }),
    ...(epoch !== undefined && { epoch }),
    ...(expected !== undefined && { expected }),
    ...(texts.get('reentering') === '1' && { reentering: true }),
    // Anybody may have written it.
    ...(trace !== undefined && TRACE.test(trace) && { trace }),
    ...withPosition(position),
  }
}

function withPosition(position: Position | undefined): { position?: Position } {
  return position === undefined ? {} : { position }
}

function toCount(text: string): number | undefined {
  return /^\d{1,16}$/.test(text) ? Number(text) : undefined
}
