import { VERSION } from '../version.ts'
import type { Command } from './command.ts'
import { COMMANDS } from './commands.ts'

/** A flag, or a word, with what it means after two blanks; and the further lines of what a flag means. */
const FLAG = /^ {2}(--\S.*?|[A-Z]+)(?: {2,})(\S.*)$/
/** A line is at most so wide. */
const WIDTH = 110
/** Text from the first column on, which is no usage. */
const PROSE = /^(?!Usage:)\S/
const FURTHER = /^ {6,}(\S.*)$/

/** The help of a command, with what its flags mean in one column, wherever the parts of it came from. */
export function helpOf({ help }: Command): string {
  const lines = filled(help.trim().split('\n'))
  const column = Math.max(0, ...lines.map((line) => FLAG.exec(line)?.[1]?.length ?? 0)) + 4
  let isFlag = false
  const aligned = lines.map((line) => {
    const [, flag, meaning] = FLAG.exec(line) ?? []
    if (flag !== undefined) {
      isFlag = true
      return `${`  ${flag}`.padEnd(column)}${meaning}`
    }
    const further = isFlag ? FURTHER.exec(line)?.[1] : undefined
    isFlag = further !== undefined
    return further === undefined ? line : `${' '.repeat(column)}${further}`
  })
  return aligned.flatMap((line) => wrapped(line, FLAG.test(line) ? column : undefined)).join('\n')
}

/** The lines of a help with each paragraph, and what each flag means, in one: how wide they were written does not show. */
function filled(lines: readonly string[]): readonly string[] {
  const whole: string[] = []
  for (const line of lines) {
    const last = whole.at(-1) ?? ''
    const isFurther = FLAG.test(last) && FURTHER.test(line) && !/\S {2,}\S/.test(line)
    if (isFurther || (PROSE.test(last) && PROSE.test(line))) whole.push(`${whole.pop()} ${line.trim()}`)
    else whole.push(line)
  }
  return whole
}

/** A line in lines of a width that is read well; further ones begin where its text does. */
function wrapped(line: string, column = line.length - line.trimStart().length): readonly string[] {
  if (line.length <= WIDTH) return [line]
  const at = line.lastIndexOf(' ', WIDTH)
  if (at <= column) return [line]
  return [line.slice(0, at), ...wrapped(' '.repeat(column) + line.slice(at + 1), column)]
}

/** The list of commands, by what they are for. */
export function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length))
  return [
    `tapeline ${VERSION}: exchange -> Kafka/Redpanda -> TimescaleDB and your applications`,
    '',
    ...[...Map.groupBy(Object.entries(COMMANDS), ([, { group }]) => group)].flatMap(([group, commands]) => [
      `${group}:`,
      ...commands.map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
      '',
    ]),
    'tapeline help COMMAND tells more, tapeline version the version. In the checkout: npm run -s tapeline -- COMMAND',
  ].join('\n')
}
