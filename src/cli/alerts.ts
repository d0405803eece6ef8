import { pageOfCode } from '../errors.ts'
import { alertsSchema } from '../gateway/schemas/operations.ts'
import { requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, expectWords } from './command.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline alerts [--json] [--data DIR | --config FILE | --api URL]

Lists what lasts and a person should know about, of all processes of the running platform, the oldest first, with the
page that says what to do. Ends with 1 while there is any.

  --json       print {"alerts": [...]}
${TARGET_HELP}

Examples:
  tapeline alerts
  tapeline alerts --json
`

export const command: Command = {
  name: 'alerts',
  help: HELP,
  options: { ...TARGET_OPTIONS, json: { type: 'boolean' } },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const answer = await requirePlatform(flags, 'any').call('/v1/alerts', alertsSchema, terminal.signal)
    const { alerts } = answer
    if (flags['json']) terminal.print(JSON.stringify(answer))
    else if (alerts.length === 0) terminal.note('No alert lasts.')
    else {
      const columns = ['ID', 'SINCE', 'CODE', 'SAYS', 'WHAT TO DO']
      await printTable(terminal, columns, alerts, ({ id, since, code, message }) => [
        ...[id, since, code, message, pageOfCode(code)],
      ])
    }
    return alerts.length === 0 ? 0 : 1
  },
}
