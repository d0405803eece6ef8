import type { ASTNode, BinaryOperator, UnaryOperator } from '@marcbachmann/cel-js'
import { mayRead } from './where-effort.ts'
import {
  BINDS,
  bracketed,
  type Compiled,
  fault,
  isList,
  isSame,
  nameOf,
  type Run,
  type Value,
} from './where-types.ts'

type Binary = BinaryOperator | '&&' | '||' | '[]'
type BinaryNode = Extract<ASTNode, { op: Binary }>
type UnaryNode = Extract<ASTNode, { op: UnaryOperator }>

/** Checks what an operator of two operands takes, and makes a function of it. Throws WhereFault. */
export function binary(node: BinaryNode, left: Compiled, right: Compiled): Compiled {
  switch (node.op) {
    case '&&':
      return logical(node, left, right, false)
    case '||':
      return logical(node, left, right, true)
    case '==':
    case '!=':
      return equality(node, left, right)
    case '<':
    case '<=':
    case '>':
    case '>=':
      return order(node, left, right, ORDERS[node.op])
    case 'in':
      return membership(node, left, right)
    case '+':
    case '-':
      return arithmetic(node, left, right, BINDS.sum, ARITHMETIC[node.op])
    case '*':
    case '/':
    case '%':
      return arithmetic(node, left, right, BINDS.product, ARITHMETIC[node.op])
    case '[]':
      return item(node, left, right)
  }
}

/** Checks what `!` or `-` takes, and makes a function of it. Throws WhereFault. */
export function unary(node: UnaryNode, operand: Compiled): Compiled {
  return node.op === '!_' ? not(node, operand) : negative(node, operand)
}

/** Throws WhereFault where a condition is none. */
export function refuseNoFlag(node: ASTNode, what: string, { type }: Compiled): void {
  if (type !== 'flag')
    throw fault(node, `${what} takes a comparison, not ${nameOf(type)}`, 'Compare it with something.')
}

/** `&&` and `||`: what is missing on one side does not matter where the other side decides, as in CEL. */
function logical(node: BinaryNode, left: Compiled, right: Compiled, decides: boolean): Compiled {
  refuseNoFlag(node.args[0], node.op, left)
  refuseNoFlag(node.args[1], node.op, right)
  const [first, second] = [left.run, right.run]
  const run: Run = (event, of) => {
    const one = first(event, of)
    if (one === decides) return decides
    const other = second(event, of)
    if (other === decides) return decides
    return one === undefined || other === undefined ? undefined : !decides
  }
  return infix(node, decides ? BINDS.or : BINDS.and, left, right, { type: 'flag', run })
}

/** `==` and `!=`; with `null`: whether there is a value. */
function equality(node: BinaryNode, left: Compiled, right: Compiled): Compiled {
  const isWanted = node.op === '=='
  if (left.type === 'null' || right.type === 'null') {
    const { run } = left.type === 'null' ? right : left
    const isThere: Run = (event, of) => (run(event, of) === undefined) === isWanted
    return infix(node, BINDS.relation, left, right, { type: 'flag', run: isThere })
  }
  refuseUnlike(node, left, right)
  const run = compared(left, right, isWanted ? (a, b) => a === b : (a, b) => a !== b)
  return infix(node, BINDS.relation, left, right, { type: 'flag', run })
}

const ORDERS: Readonly<Record<'<' | '<=' | '>' | '>=', (a: Value, b: Value) => boolean>> = {
  '<': (a, b) => (a as number) < (b as number),
  '<=': (a, b) => (a as number) <= (b as number),
  '>': (a, b) => (a as number) > (b as number),
  '>=': (a, b) => (a as number) >= (b as number),
}

function order(
  node: BinaryNode,
  left: Compiled,
  right: Compiled,
  compare: (a: Value, b: Value) => boolean,
): Compiled {
  refuseUnlike(node, left, right)
  if (left.type !== 'number' && left.type !== 'text')
    throw fault(node, `${node.op} has no meaning for ${nameOf(left.type)}`, 'Use == or !=.')
  return infix(node, BINDS.relation, left, right, { type: 'flag', run: compared(left, right, compare) })
}

function refuseUnlike(node: BinaryNode, left: Compiled, right: Compiled): void {
  if (isList(left.type) || isList(right.type))
    throw fault(node, `${node.op} does not compare lists`, 'Compare single items.')
  if (left.type !== right.type) {
    const types = `${nameOf(left.type)} with ${nameOf(right.type)}`
    throw fault(node, `${node.op} compares ${types}`, 'Compare values of one type.')
  }
}

/** A comparison; the usual one, with a constant on the right, has a shorter way. */
function compared(left: Compiled, right: Compiled, compare: (a: Value, b: Value) => boolean): Run {
  const [first, second, fixed] = [left.run, right.run, right.constant]
  if (fixed !== undefined)
    return (event, of) => {
      const value = first(event, of)
      return value === undefined ? undefined : compare(value, fixed)
    }
  return (event, of) => {
    const value = first(event, of)
    const other = second(event, of)
    return value === undefined || other === undefined ? undefined : compare(value, other)
  }
}

function membership(node: BinaryNode, left: Compiled, right: Compiled): Compiled {
  if (!isList(right.type))
    throw fault(node.args[1], `in takes a list, not ${nameOf(right.type)}`, 'Write side in ["buy", "sell"].')
  if (isList(left.type) || (right.type.of !== undefined && !isSame(left.type, right.type.of))) {
    const types = `${nameOf(left.type)} in ${nameOf(right.type)}`
    throw fault(node, `in looks for ${types}`, 'Use a list of the same type.')
  }
  const known = right.constant === undefined ? undefined : new Set(right.constant as readonly Value[])
  const isIn = known
    ? (value: Value) => known.has(value)
    : (value: Value, values: Value) => (values as readonly Value[]).includes(value)
  return infix(node, BINDS.relation, left, right, { type: 'flag', run: compared(left, right, isIn) })
}

const ARITHMETIC: Readonly<Record<'+' | '-' | '*' | '/' | '%', (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
}

/** Numbers are doubles, so `7 / 2` is 3.5; `+` joins text too. */
function arithmetic(
  node: BinaryNode,
  left: Compiled,
  right: Compiled,
  binds: number,
  apply: (a: number, b: number) => number,
): Compiled {
  const isText = node.op === '+' && left.type === 'text' && right.type === 'text'
  if (!isText && (left.type !== 'number' || right.type !== 'number')) {
    const types = `${nameOf(left.type)} and ${nameOf(right.type)}`
    throw fault(node, `${node.op} does not take ${types}`, 'Use numbers.')
  }
  const [first, second] = [left.run, right.run]
  const run: Run = (event, of) => {
    const value = first(event, of)
    const other = second(event, of)
    if (value === undefined || other === undefined) return undefined
    if (!isText) return apply(value as number, other as number)
    const text = `${value}${other}`
    return mayRead(text.length) ? text : undefined
  }
  return infix(node, binds, left, right, { type: isText ? 'text' : 'number', run })
}

/** `bids[0]`: an item of a list, missing beyond its end. */
function item(node: BinaryNode, list: Compiled, at: Compiled): Compiled {
  if (!isList(list.type) || list.type.of === undefined)
    throw fault(node, `${nameOf(list.type)} has no items`, 'Use [0] on a list, such as bids[0][1].')
  if (at.type !== 'number')
    throw fault(node.args[1], `an index is a number, not ${nameOf(at.type)}`, 'Use a number, from 0 on.')
  const run: Run = (event, of) => {
    const values = list.run(event, of)
    const i = at.run(event, of)
    return values === undefined || i === undefined ? undefined : (values as readonly Value[])[i as number]
  }
  const text = `${bracketed(list, BINDS.primary)}[${at.text}]`
  return { type: list.type.of, run, text, binds: BINDS.primary }
}

function not(node: UnaryNode, operand: Compiled): Compiled {
  refuseNoFlag(node.args, '!', operand)
  const { run } = operand
  return {
    type: 'flag',
    run: (event, of) => {
      const value = run(event, of)
      return value === undefined ? undefined : !value
    },
    text: `!${bracketed(operand, BINDS.unary)}`,
    binds: BINDS.unary,
  }
}

function negative(node: UnaryNode, operand: Compiled): Compiled {
  if (operand.type !== 'number')
    throw fault(node.args, `- takes a number, not ${nameOf(operand.type)}`, 'Use a number.')
  const negated = {
    type: 'number',
    text: `-${bracketed(operand, BINDS.primary)}`,
    binds: BINDS.unary,
  } as const
  if (operand.constant !== undefined) {
    const value = -(operand.constant as number)
    return { ...negated, run: () => value, constant: value }
  }
  const { run } = operand
  return {
    ...negated,
    run: (event, of) => {
      const value = run(event, of)
      return value === undefined ? undefined : -(value as number)
    },
  }
}

function infix(
  { op }: BinaryNode,
  binds: number,
  left: Compiled,
  right: Compiled,
  compiled: Pick<Compiled, 'type' | 'run'>,
): Compiled {
  // All of them take from the left: a - b - c is (a - b) - c.
  return { ...compiled, text: `${bracketed(left, binds)} ${op} ${bracketed(right, binds + 1)}`, binds }
}
