import { parseArgs } from 'node:util'
import { numberFlag, runTool } from '../servers/command-line.ts'
import { kafkaMissing } from '../servers/kafka.ts'
import { postgresMissing } from '../servers/postgres.ts'
import { runChaos } from './chaos.ts'

const HELP = `
Usage: npm run chaos -- [--minutes N] [--seed S] [--rate R] [--every SECONDS] [--brokers 1|3]
                        [--platforms 1|2] [--postgres DIR]

Runs the platform in six processes on a real Kafka and PostgreSQL, with 20 applications. Whatever the seed says
is killed, frozen, cut or delayed; then it settles, and everything is compared: rows, ledger and flagged gaps,
the topics of all streams, and what each application got. Exit code 1 where anything is lost, repeated or
swapped; the logs of all processes are kept then.

  --minutes N      how long faults are put upon it (default: 2)
  --seed S         decides the faults and the markets (default: from the clock; it is printed)
  --rate R         trades a second (default: 300)
  --every SECONDS  how far apart faults begin on average (default: 9)
  --brokers 1|3    so many brokers of Kafka; of three one is hit at a time, also by a loss of all that it
                   has, and leaders are moved (default: 1)
  --platforms 1|2  so many platforms on the same servers, each with prefixes, a database, a source and
                   applications of its own (default: 1)
  --postgres DIR   folder with the programs of another PostgreSQL (default: the one that npm ci brings)
`

async function main(ended: AbortSignal): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '2' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      rate: { type: 'string', default: '300' },
      every: { type: 'string', default: '9' },
      brokers: { type: 'string', default: '1' },
      platforms: { type: 'string', default: '1' },
      postgres: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP.trim())
    return 0
  }
  const missing = kafkaMissing() ?? (values.postgres === undefined ? postgresMissing() : undefined)
  if (missing !== undefined) {
    console.error(missing)
    return 1
  }
  const { violations } = await runChaos(
    {
      seed: numberFlag('seed', values.seed, 0),
      forMs: numberFlag('minutes', values.minutes) * 60_000,
      everyMs: numberFlag('every', values.every) * 1_000,
      rate: numberFlag('rate', values.rate),
      brokers: oneOf('brokers', values.brokers, [1, 3]),
      platforms: oneOf('platforms', values.platforms, [1, 2]),
      ...(values.postgres !== undefined && { postgresBinaries: values.postgres }),
      print: (line) => console.log(line),
    },
    ended,
  )
  console.log(violations.length === 0 ? 'all is well' : `${violations.length} violations`)
  return violations.length === 0 ? 0 : 1
}

function oneOf<T extends number>(name: string, text: string, known: readonly T[]): T {
  const found = known.find((each) => String(each) === text)
  if (found === undefined)
    throw new Error(`--${name} takes ${known.join(' or ')}, not ${JSON.stringify(text)}`)
  return found
}

await runTool(main)
