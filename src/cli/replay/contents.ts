import { readCapture } from '../../adapters/source/feed/capture.ts'

/** Fields in which exchanges say what a frame is. */
const KIND_FIELDS = ['type', 'e', 'event', 'channel', 'topic', 'stream', 'ch', 'method', 'op']
/** Names that can be shown as they are. */
const NAME = /^[\w.:@/-]{1,40}$/
const MOST_LINES = 100_000
const MOST_SHOWN = 8

/** What a capture of another feed holds, in a line: the kinds of its received frames with their numbers, the most frequent first. */
export async function describeCapture(path: string, signal: AbortSignal): Promise<string> {
  const counts = new Map<string, number>()
  let frames = 0
  let lines = 0
  for await (const line of readCapture(path, signal)) {
    if (++lines > MOST_LINES) break
    if (line.kind !== 'received' && line.kind !== 'untimed') continue
    frames++
    const kind = kindOf(line.frame)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  const kinds = [...counts].sort(([, a], [, b]) => b - a).map(([kind, count]) => `${count} ${kind}`)
  const shown = kinds.slice(0, MOST_SHOWN).join(', ')
  const more = kinds.length > MOST_SHOWN ? ` and ${kinds.length - MOST_SHOWN} more kinds` : ''
  const part = lines > MOST_LINES ? `its first ${MOST_LINES} lines hold` : 'it holds'
  return frames === 0 ? `${part} no received frame` : `${part} ${frames} received frames: ${shown}${more}`
}

function kindOf(frame: string): string {
  let value: unknown
  try {
    value = JSON.parse(frame)
  } catch {
    return 'without JSON'
  }
  if (Array.isArray(value)) return 'JSON arrays'
  if (typeof value !== 'object' || value === null) return 'JSON values'
  const fields = new Map(Object.entries(value))
  const kind = KIND_FIELDS.map((field) => fields.get(field)).find((each) => typeof each === 'string')
  return kind !== undefined && NAME.test(kind) ? kind : 'JSON objects without a name'
}
