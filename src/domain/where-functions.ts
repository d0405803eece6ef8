import { mayRead } from './where-effort.ts'
import { type Compiled, isSame, type ListType, type Run, type Type, type Value } from './where-types.ts'

/** A function: what it takes, the receiver of `a.f(b)` first, what it gives, and how. */
interface Signature {
  readonly takes: readonly Type[]
  readonly gives: Type
  readonly apply: (...values: Value[]) => Value | undefined
}

const ANY_LIST: ListType = { of: undefined }

const onText = (apply: (text: string, other: string) => Value, gives: Type): Signature => ({
  takes: ['text', 'text'],
  gives,
  apply: (text, other) => apply(text as string, other as string),
})

const FUNCTIONS: Readonly<Record<string, readonly Signature[]>> = {
  startsWith: [onText((text, start) => text.startsWith(start), 'flag')],
  endsWith: [onText((text, end) => text.endsWith(end), 'flag')],
  contains: [onText((text, part) => text.includes(part), 'flag')],
  size: [
    // CEL counts code points.
    { takes: ['text'], gives: 'number', apply: (text) => [...(text as string)].length },
    { takes: [ANY_LIST], gives: 'number', apply: (list) => (list as readonly Value[]).length },
  ],
  lowerAscii: [
    { takes: ['text'], gives: 'text', apply: (text) => foldAscii(text as string, /[A-Z]+/g, 'toLowerCase') },
  ],
  upperAscii: [
    { takes: ['text'], gives: 'text', apply: (text) => foldAscii(text as string, /[a-z]+/g, 'toUpperCase') },
  ],
  double: [
    { takes: ['number'], gives: 'number', apply: (value) => value },
    { takes: ['text'], gives: 'number', apply: (text) => numberIn(text as string) },
  ],
  int: [
    { takes: ['number'], gives: 'number', apply: (value) => Math.trunc(value as number) },
    { takes: ['text'], gives: 'number', apply: (text) => wholeNumberIn(text as string) },
  ],
}

/** The names of all functions. */
export const FUNCTION_NAMES: readonly string[] = Object.keys(FUNCTIONS)

/** A call, where a function of this name takes arguments of these types; undefined where none does. */
export function callOf(name: string, args: readonly Compiled[]): Pick<Compiled, 'type' | 'run'> | undefined {
  const overloads = Object.hasOwn(FUNCTIONS, name) ? (FUNCTIONS[name] ?? []) : []
  const found = overloads.find(
    ({ takes }) =>
      takes.length === args.length && takes.every((type, i) => isSame(type, (args[i] as Compiled).type)),
  )
  if (found === undefined) return undefined
  const { apply, gives, takes } = found
  const runs = args.map(({ run }) => run)
  const takesText = takes.includes('text')
  const run: Run = (event, item) => {
    const values: Value[] = []
    for (const each of runs) {
      const value = each(event, item)
      if (value === undefined) return undefined
      values.push(value)
    }
    return !takesText || mayRead(charactersOf(values)) ? apply(...values) : undefined
  }
  return { type: gives, run }
}

function charactersOf(values: readonly Value[]): number {
  let characters = 0
  for (const value of values) if (typeof value === 'string') characters += value.length
  return characters
}

/** What a macro makes of a list: its predicate, or what it maps to, is asked for each item. */
interface Macro {
  /** Whether it asks for yes or no of each item. */
  readonly takesFlag: boolean
  gives(list: ListType, body: Type): Type
  apply(list: readonly Value[], body: (item: Value) => Value | undefined): Value | undefined
}

const MACROS: Readonly<Record<string, Macro>> = {
  exists: { takesFlag: true, gives: () => 'flag', apply: (list, body) => decided(list, body, true) },
  all: { takesFlag: true, gives: () => 'flag', apply: (list, body) => decided(list, body, false) },
  exists_one: {
    takesFlag: true,
    gives: () => 'flag',
    apply: (list, body) => {
      const taken = takenBy(list, body)
      return taken && taken.length === 1
    },
  },
  filter: { takesFlag: true, gives: (list) => list, apply: takenBy },
  map: {
    takesFlag: false,
    gives: (_list, body) => ({ of: body }),
    apply: (list, body) => {
      const mapped: Value[] = []
      for (const item of list) {
        const value = body(item)
        if (value === undefined) return undefined
        mapped.push(value)
      }
      return mapped
    },
  },
}

/** The macro of a name. */
export function macroOf(name: string): Macro | undefined {
  return Object.hasOwn(MACROS, name) ? MACROS[name] : undefined
}

/** `answer` as soon as one item gives it; what one misses leaves the rest undecided. */
function decided(
  list: readonly Value[],
  body: (item: Value) => Value | undefined,
  answer: boolean,
): boolean | undefined {
  let isMissing = false
  for (const item of list) {
    const value = body(item)
    if (value === answer) return answer
    if (value === undefined) isMissing = true
  }
  return isMissing ? undefined : !answer
}

function takenBy(list: readonly Value[], body: (item: Value) => Value | undefined): Value[] | undefined {
  const taken: Value[] = []
  for (const item of list) {
    const value = body(item)
    if (value === undefined) return undefined
    if (value === true) taken.push(item)
  }
  return taken
}

function foldAscii(text: string, letters: RegExp, fold: 'toLowerCase' | 'toUpperCase'): string {
  return text.replace(letters, (found) => found[fold]())
}

function numberIn(text: string): number | undefined {
  const value = text.trim() === text && text !== '' ? Number(text) : Number.NaN
  return Number.isNaN(value) ? undefined : value
}

function wholeNumberIn(text: string): number | undefined {
  return /^-?\d+$/.test(text) ? Number(text) : undefined
}
