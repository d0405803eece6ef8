import { z } from 'zod'
import { TapelineError } from '../errors.ts'

const VERSION = 1

/** A name in a cursor, of so many characters at most. No database takes a zero byte. */
export function cursorName(most: number): z.ZodType<string> {
  return z
    .string()
    .max(most)
    .regex(/^[^\0]*$/)
}

/** Where a list goes on, as opaque text: what its order goes by, of the last row of a page. */
interface PageCursor<Position> {
  write(position: Position): string
  /** Raises CURSOR_INVALID. */
  read(text: string): Position
}

/** A cursor of these fields, in this order, of so many characters at most. */
export function createPageCursor<const Field extends string>(
  fields: Readonly<Record<Field, z.ZodType<string>>>,
  mostCharacters: number,
): PageCursor<Readonly<Record<Field, string>>> {
  type Position = Readonly<Record<Field, string>>
  const names = Object.keys(fields) as Field[]
  const schema = z.object(fields) as unknown as z.ZodType<Position>
  const write = (position: Position): string =>
    Buffer.from(JSON.stringify([VERSION, ...names.map((name) => position[name])])).toString('base64url')
  const read = (text: string): Position => {
    const parts = text.length <= mostCharacters ? partsIn(text) : []
    const parsed = schema.safeParse(Object.fromEntries(names.map((name, i) => [name, parts[i + 1]])))
    // Written again it is the same: nothing stands before, after or between.
    if (parsed.success && write(parsed.data) === text) return parsed.data
    throw new TapelineError('CURSOR_INVALID', 'The cursor is not one that this platform made.', {
      remedy: 'Use next of the answer before unchanged; or leave cursor out.',
    })
  }
  return { write, read }
}

function partsIn(text: string): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    return Array.isArray(parsed) ? parsed : []
  } catch {
    return []
  }
}
