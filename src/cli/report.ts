import { TapelineError, toTapelineError } from '../errors.ts'
import { redactText } from '../secrets.ts'
import { createLog, logFormat } from '../telemetry/log.ts'
import type { Command, Terminal } from './command.ts'
import { inCheckout } from './invocation.ts'
import { painted } from './paint.ts'
import { remedyOnCommandLine } from './remedies.ts'

/**
 * Says what went wrong and what to do, and gives the exit code: 1 failed, 2 wrong usage. Where standard error is the log of a platform
 * and no terminal, it is a line of the log.
 */
export function reportFailure(error: unknown, terminal: Terminal, command?: Command): number {
  if (terminal.signal.aborted && !(error instanceof TapelineError)) return 1
  const failure = toTapelineError(error)
  const { code, message, fields } = failure
  const exitCode = code === 'USAGE' ? 2 : 1
  const general = remedyOnCommandLine(failure)
  const remedy = inCheckout(
    command ? general.replace('tapeline COMMAND', `tapeline ${command.name}`) : general,
  )
  // A defect is the one case in which a stack says something to whoever reports it.
  const stack = code === 'INTERNAL' && error instanceof Error ? error.stack : undefined
  if (command?.runsPlatform && logFormat() === 'json') {
    const log = createLog({ level: 'error' })
    log.error({ code, remedy, ...(fields.length > 0 && { fields }), ...(stack && { stack }) }, message)
    return exitCode
  }
  terminal.note(painted('red', code), `: ${redactText(message)}`)
  terminal.note(redactText(remedy))
  for (const field of fields)
    terminal.note(redactText(`  ${field.field} ${field.message}. ${inCheckout(field.remedy)}`))
  if (stack !== undefined) terminal.note(redactText(stack))
  return exitCode
}
