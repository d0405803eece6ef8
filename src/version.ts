import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** The version of the package, from its own package.json, one folder up from sources and from the build alike. */
export const VERSION = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))).version
