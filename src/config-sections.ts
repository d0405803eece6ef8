import { SOURCE_NAMES } from './adapters/source/index.ts'
import { entriesOf } from './config-values.ts'
import { didYouMean } from './domain/near.ts'

/** What is wrong with a value that stands where settings by name belong, and what to write instead. */
export interface Misplaced {
  readonly message: string
  readonly remedy: string
}

/**
 * Words for a value that is no object where the settings of a section, of a source or of a fallback belong. `known` are the names of the
 * settings there, as far as they are known. Only names of kinds are repeated from the value: it may hold a secret.
 */
export function misplaced(path: readonly string[], given: unknown, known: readonly string[]): Misplaced {
  const field = path.join('.')
  if (field === 'source') return insteadOfSource(given)
  if (field === 'sources')
    return {
      message: 'is no list of sources',
      remedy:
        'Write one source by its settings, source: {kind: coinbase}, or each as an entry: sources: [coinbase, kraken]. TAPELINE_SOURCES takes kinds.',
    }
  if (path.at(-1) === 'fallback')
    return {
      message: `is ${whatIs(given)} where one fallback belongs`,
      remedy: `Name one kind, such as ${field}: kraken, or give ${field} settings by name.`,
    }
  return {
    message: `is ${whatIs(given)} where settings by name belong`,
    remedy:
      known.length === 0
        ? `Correct ${field}: docs/configuration.md shows what belongs there.`
        : `Write them below ${field}, as docs/configuration.md lists them: ${known.map((name) => `${field}.${name}`).join(', ')}.`,
  }
}

/** One source is settings by name; several are the list of another setting. */
function insteadOfSource(given: unknown): Misplaced {
  const entries = entriesOf(given)
  const list = Array.isArray(entries) ? entries : []
  const kinds = list.flatMap((each) => kindOf(each) ?? [])
  if (Array.isArray(given) || kinds.length > 1) {
    const named = kinds.length === 0 ? '' : ` (${kinds.join(', ')})`
    const example = kinds.length > 1 ? kinds : ['coinbase', 'kraken']
    return {
      message: `is ${Array.isArray(given) ? 'a list' : 'several kinds'}${named} where the settings of one source belong`,
      remedy: `Several sources are a list in sources: write sources: [${example.join(', ')}] in place of source.`,
    }
  }
  const [kind] = kinds
  const near = kind === undefined && list.length === 1 ? didYouMean(String(list[0]), SOURCE_NAMES) : ''
  return {
    message: `is ${whatIs(given)} where settings by name belong${near}`,
    remedy: `Write source: {kind: ${kind ?? 'coinbase'}}, with the other settings beside kind.`,
  }
}

/** The kind of an entry, where it is one that there is. */
function kindOf(entry: unknown): string | undefined {
  const named = typeof entry === 'object' && entry !== null ? Reflect.get(entry, 'kind') : entry
  return SOURCE_NAMES.find((name) => name === named)
}

function whatIs(given: unknown): string {
  if (given === null) return 'empty'
  if (Array.isArray(given)) return 'a list'
  return { string: 'text', number: 'a number', boolean: 'true or false' }[typeof given as string] ?? 'a value'
}
