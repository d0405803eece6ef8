import type { ASTNode } from '@marcbachmann/cel-js'

/** What a part of an expression gives. All numbers are doubles (R15), so `size == 1` and `size == 1.0` are the same. */
export type Type = 'text' | 'number' | 'flag' | 'null' | ListType

/** A list of values of one type; `undefined` is that of the empty list, which goes with every other. */
export interface ListType {
  readonly of: Type | undefined
}

export type Value = string | number | boolean | null | readonly Value[]

/** An evaluation for an event, and for the item that a macro such as `exists` looks at. */
export type Run = (event: Readonly<Record<string, unknown>>, item: Value) => Value | undefined

/** A part of an expression that was checked. */
export interface Compiled {
  readonly type: Type
  /** Gives `undefined` where a value is missing: a field that the event does not have, an index beyond the list. */
  readonly run: Run
  /** In canonical form. */
  readonly text: string
  /** How tightly the text binds; looser text is put in brackets. */
  readonly binds: number
  /** The value, where it is the same for each event. */
  readonly constant?: Value
}

/** How tightly the forms of the language bind, the loosest first. Source: the grammar of CEL's language definition. */
export const BINDS = {
  ternary: 1,
  or: 2,
  and: 3,
  relation: 4,
  sum: 5,
  product: 6,
  unary: 7,
  primary: 8,
} as const

/** What is wrong with an expression, and where it begins in the text. */
export class WhereFault extends Error {
  readonly start: number
  readonly remedy: string

  constructor(message: string, start: number, remedy: string) {
    super(message)
    this.start = start
    this.remedy = remedy
  }
}

export function fault(node: ASTNode, message: string, remedy: string): WhereFault {
  return new WhereFault(message, node.start, remedy)
}

export function bracketed({ text, binds }: Pick<Compiled, 'text' | 'binds'>, least: number): string {
  return binds < least ? `(${text})` : text
}

export function isList(type: Type): type is ListType {
  return typeof type === 'object'
}

export function isSame(a: Type, b: Type): boolean {
  if (!isList(a) || !isList(b)) return a === b
  return a.of === undefined || b.of === undefined || isSame(a.of, b.of)
}

export function nameOf(type: Type): string {
  if (!isList(type)) return type
  return type.of === undefined ? 'a list' : `a list of ${nameOf(type.of)}`
}
