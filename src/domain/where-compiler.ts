import type { ASTNode } from '@marcbachmann/cel-js'
import type { FieldType } from './event-fields.ts'
import { callOf, FUNCTION_NAMES, macroOf } from './where-functions.ts'
import { binary, refuseNoFlag, unary } from './where-operators.ts'
import {
  BINDS,
  bracketed,
  type Compiled,
  fault,
  isList,
  isSame,
  type ListType,
  nameOf,
  type Run,
  type Type,
  type Value,
} from './where-types.ts'

/** The names that an expression may use. */
interface Scope {
  readonly fields: Readonly<Record<string, FieldType>>
  /** What a macro looks at, within the macro; its type is unknown where the list is empty. */
  readonly item?: { readonly name: string; readonly type: Type | undefined }
}

type Node<Op extends ASTNode['op']> = Extract<ASTNode, { op: Op }>

const LEVELS: ListType = { of: { of: 'number' } }

/** Checks a part of an expression against the fields of an event, and makes a function of it. Throws WhereFault. */
export function compile(node: ASTNode, scope: Scope): Compiled {
  switch (node.op) {
    case 'value':
      return literal(node)
    case 'id':
      return nameIn(scope, node)
    case 'list':
      return list(node, scope)
    case '?:':
      return ternary(node, scope)
    case 'call':
      return call(node, scope)
    case 'rcall':
      return receiverCall(node, scope)
    case '!_':
    case '-_':
      return unary(node, compile(node.args, scope))
    case '.':
      throw fault(node, `there is no field ${node.args[1]} here`, 'Name a field of the event, without a dot.')
    case 'map':
    case '.?':
    case '[?]':
      throw fault(node, 'maps and optional values are not supported', fieldsRemedy(scope))
    default:
      return binary(node, compile(node.args[0], scope), compile(node.args[1], scope))
  }
}

function literal(node: Node<'value'>): Compiled {
  const value = node.args
  if (value === null) return { type: 'null', run: () => undefined, text: 'null', binds: BINDS.primary }
  if (typeof value === 'boolean') return constant('flag', value, String(value))
  if (typeof value === 'string') return constant('text', value, JSON.stringify(value))
  if (typeof value === 'number') return constant('number', value, String(value))
  if (typeof value !== 'bigint')
    throw fault(node, 'bytes and unsigned numbers are not supported', 'Write text or a number.')
  if (!Number.isSafeInteger(Number(value)))
    throw fault(node, `${value} has more digits than a number holds`, 'Write one up to 9007199254740991.')
  return constant('number', Number(value), String(value))
}

function constant(type: Type, value: Value, text: string): Compiled {
  return { type, run: () => value, text, binds: BINDS.primary, constant: value }
}

function nameIn({ fields, item }: Scope, node: Node<'id'>): Compiled {
  const text = node.args
  const named = { text, binds: BINDS.primary }
  if (item?.name === text) {
    if (item.type === undefined)
      throw fault(node, 'the list is empty', 'Use a list that has items, such as bids.')
    return { ...named, type: item.type, run: (_event, value) => value }
  }
  const type = Object.hasOwn(fields, text) ? fields[text] : undefined
  if (type === undefined)
    throw fault(node, `${text} is not a field of this channel`, fieldsRemedy({ fields }))
  // A flag that an event leaves out is false.
  if (type === 'flag') return { ...named, type, run: (event) => event[text] === true }
  return {
    ...named,
    type: type === 'levels' ? LEVELS : type,
    run: (event) => event[text] as Value | undefined,
  }
}

function list(node: Node<'list'>, scope: Scope): Compiled {
  const items = node.args.map((arg) => compile(arg, scope))
  const [first] = items
  for (const [i, { type }] of items.entries()) {
    if (first !== undefined && !isSame(first.type, type)) {
      const types = `${nameOf(first.type)} has ${nameOf(type)}`
      throw fault(node.args[i] ?? node, `a list of ${types}`, 'Use one type in a list.')
    }
  }
  const runs = items.map(({ run }) => run)
  const run: Run = (event, item) => {
    const values = runs.map((each) => each(event, item))
    return values.includes(undefined) ? undefined : (values as Value[])
  }
  const constants = items.map((item) => item.constant)
  return {
    type: { of: first?.type },
    run,
    text: `[${items.map((item) => item.text).join(', ')}]`,
    binds: BINDS.primary,
    ...(!constants.includes(undefined) && { constant: constants as Value[] }),
  }
}

function ternary(node: Node<'?:'>, scope: Scope): Compiled {
  const [condition, yes, no] = [
    compile(node.args[0], scope),
    compile(node.args[1], scope),
    compile(node.args[2], scope),
  ]
  refuseNoFlag(node.args[0], '?', condition)
  if (!isSame(yes.type, no.type)) {
    const types = `${nameOf(no.type)}, and ? gives ${nameOf(yes.type)}`
    throw fault(node.args[2], `: gives ${types}`, 'Give the same type on both sides.')
  }
  const run: Run = (event, item) => {
    const value = condition.run(event, item)
    if (value === undefined) return undefined
    return value ? yes.run(event, item) : no.run(event, item)
  }
  const choice = `${bracketed(condition, BINDS.or)} ? ${bracketed(yes, BINDS.or)}`
  const text = `${choice} : ${bracketed(no, BINDS.ternary)}`
  return { type: yes.type, run, text, binds: BINDS.ternary }
}

function call(node: Node<'call'>, scope: Scope): Compiled {
  const [name, args] = node.args
  if (name === 'has') return has(node, scope)
  const compiled = args.map((arg) => compile(arg, scope))
  const text = `${name}(${compiled.map((arg) => arg.text).join(', ')})`
  return { ...functionFor(node, name, compiled), text, binds: BINDS.primary }
}

/** `has(bid)`: whether the event has the field. */
function has(node: Node<'call'>, { fields }: Scope): Compiled {
  const [arg, ...more] = node.args[1]
  if (arg?.op !== 'id' || more.length > 0) throw fault(node, 'has() takes one field', 'Write it as has(bid).')
  const { text } = nameIn({ fields }, arg)
  const run: Run = (event) => event[text] !== undefined
  return { type: 'flag', run, text: `has(${text})`, binds: BINDS.primary }
}

function receiverCall(node: Node<'rcall'>, scope: Scope): Compiled {
  const [name, receiver, args] = node.args
  if (macroOf(name) !== undefined) return macroCall(node, scope)
  const first = compile(receiver, scope)
  const others = args.map((arg) => compile(arg, scope))
  const text = `${bracketed(first, BINDS.primary)}.${name}(${others.map((other) => other.text).join(', ')})`
  return { ...functionFor(node, name, [first, ...others]), text, binds: BINDS.primary }
}

function functionFor(node: ASTNode, name: string, args: readonly Compiled[]): Pick<Compiled, 'type' | 'run'> {
  const found = callOf(name, args)
  if (found !== undefined) return found
  if (name === 'matches') {
    const remedy = 'Use startsWith, endsWith or contains.'
    throw fault(node, 'matches() is refused: a pattern can hold everything up', remedy)
  }
  const remedy = `Use ${FUNCTION_NAMES.join(', ')}, has, or exists, all, exists_one, filter, map of a list.`
  if (!FUNCTION_NAMES.includes(name)) throw fault(node, `there is no function ${name}`, remedy)
  const types = args.map(({ type }) => nameOf(type)).join(', ')
  throw fault(node, `${name} does not take ${types || 'nothing'}`, remedy)
}

function macroCall(node: Node<'rcall'>, scope: Scope): Compiled {
  const [name, receiver, [item, body, ...more]] = node.args
  const macro = macroOf(name)
  if (macro === undefined || item?.op !== 'id' || body === undefined || more.length > 0)
    throw fault(node, `${name} takes a name and an expression`, `Write it as bids.${name}(b, b[1] > 2).`)
  if (scope.item !== undefined) {
    const message = 'one macro within another is refused: it can hold everything up'
    throw fault(node, message, 'Take them apart with &&.')
  }
  if (Object.hasOwn(scope.fields, item.args))
    throw fault(item, `${item.args} is a field already`, 'Call the item by another name.')
  const of = compile(receiver, scope)
  if (!isList(of.type))
    throw fault(receiver, `${name} takes a list, not ${nameOf(of.type)}`, 'Use it on a list, such as bids.')
  const compiled = compile(body, { fields: scope.fields, item: { name: item.args, type: of.type.of } })
  if (macro.takesFlag) refuseNoFlag(body, name, compiled)
  const run: Run = (event, outer) => {
    const values = of.run(event, outer)
    if (values === undefined) return undefined
    return macro.apply(values as readonly Value[], (value) => compiled.run(event, value))
  }
  const text = `${bracketed(of, BINDS.primary)}.${name}(${item.args}, ${compiled.text})`
  return { type: macro.gives(of.type, compiled.type), run, text, binds: BINDS.primary }
}

function fieldsRemedy({ fields }: Scope): string {
  return `Use ${Object.keys(fields).join(', ')}.`
}
