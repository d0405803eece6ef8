import { VERSION } from '../version.ts'
import type { Command } from './command.ts'
import { loadCommands } from './commands.ts'

/** A flag, or a word, with what it means behind two blanks; and the further lines of what a flag means. */
const FLAG = /^ {2}(--\S.*?|[A-Z]+)(?: {2,})(\S.*)$/
const FURTHER = /^ {6,}(\S.*)$/

/** The help of a command, with what its flags mean in one column, wherever the parts of it came from. */
export function helpOf({ help }: Command): string {
  const lines = help.trim().split('\n')
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
  return aligned.join('\n')
}

/** The list of commands. */
export async function overview(): Promise<string> {
  const commands = await loadCommands()
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    `tapeline ${VERSION}: exchange -> Kafka/Redpanda -> TimescaleDB and your applications`,
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'tapeline help COMMAND tells more, tapeline version the version. In the checkout: npm run -s tapeline -- COMMAND',
  ].join('\n')
}
