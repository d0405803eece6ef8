import { z } from 'zod'
import { requirePlatform } from './api-client.ts'
import { expectWords, type Flags, type Terminal } from './command.ts'

/**
 * Deletes what the words name by their ids, one after the other. `what`: of what these are ids, for the error; `done`: what is said of each; `key`:
 * under what the JSON lists them.
 */
export async function deleteEach(
  { route, what, done, key }: Readonly<Record<'route' | 'what' | 'done' | 'key', string>>,
  flags: Flags,
  words: readonly string[],
  terminal: Terminal,
): Promise<number> {
  expectWords(words, `the ID of a ${what}`, 1, Number.POSITIVE_INFINITY)
  const client = requirePlatform(flags)
  for (const id of words) {
    const path = `${route}/${encodeURIComponent(id)}`
    await client.call(path, z.undefined(), terminal.signal, { method: 'DELETE' })
    if (!flags['json']) terminal.print(`${id} ${done}`)
  }
  if (flags['json']) terminal.print(JSON.stringify({ [key]: words }))
  return 0
}
