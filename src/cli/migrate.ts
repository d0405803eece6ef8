import { type Config, loadConfig } from '../config.ts'
import { TapelineError, toTapelineError } from '../errors.ts'
import { openStoreAlone, type StoreAlone } from '../topology/engines.ts'
import { readRunFile } from '../topology/run-file.ts'
import { type Command, expectWords, textFlag } from './command.ts'
import { openLog } from './platform-flags.ts'

const HELP = `
Usage: tapeline migrate [--data DIR] [--config FILE] [--json]

Brings the schema of the database up to date and its policies (columnstore, retention) to the
configuration, and says what the database cannot do. A platform does the same whenever it starts. It is
the database of the data folder, or with store.kind timescale the server, beside running platforms too.

  --data DIR      data folder (default: .tapeline); its database is made where there is none
  --config FILE   configuration file (default: tapeline.yaml where it exists)
  --json          print {"applied": [...], "current": NAME, "missing": [...]}

Examples:
  tapeline migrate
  tapeline migrate --data /var/lib/tapeline --json
`

export const command: Command = {
  name: 'migrate',
  help: HELP,
  options: { data: { type: 'string' }, config: { type: 'string' }, json: { type: 'boolean' } },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const data = textFlag(flags, 'data')
    const config = loadConfig({
      file: textFlag(flags, 'config'),
      environment: process.env,
      flags: data === undefined ? {} : { data },
    })
    const { store, close } = await openFree(config, terminal.signal)
    try {
      const report = await store.migrate(terminal.signal)
      if (flags['json']) {
        terminal.print(JSON.stringify(report))
        return 0
      }
      for (const name of report.applied) terminal.print(`applied  ${name}`)
      terminal.print(
        `The schema is at ${report.current}${report.applied.length > 0 ? '' : '; nothing was to do'}.`,
      )
      for (const line of report.missing) terminal.print(`missing  ${line}`)
    } finally {
      await close()
    }
    return 0
  },
}

/** A running platform has done it already: that is worth saying where it holds the folder. */
async function openFree(config: Config, signal: AbortSignal): Promise<StoreAlone> {
  try {
    return await openStoreAlone(config, openLog(config.log.level), signal)
  } catch (error) {
    const failure = toTapelineError(error)
    const run = readRunFile(config.data)
    if (failure.code !== 'DATA_FOLDER_LOCKED' || run === undefined) throw error
    throw new TapelineError('DATA_FOLDER_LOCKED', `a platform (pid ${run.pid}) runs on ${config.data}`, {
      cause: error,
      remedy: 'Nothing to do: it brought the schema up to date when it started.',
    })
  }
}
