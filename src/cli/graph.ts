import { writeFile } from 'node:fs/promises'
import { machineDot, overallDot } from '../diagram/dot.ts'
import { GRAPHS, type MachineName } from '../diagram/graph.ts'
import { machineJson, overallJson } from '../diagram/graph-json.ts'
import { MESSAGES } from '../diagram/messages.ts'
import { drawSvg } from '../diagram/svg.ts'
import { TapelineError } from '../errors.ts'
import { type Command, textFlag } from './command.ts'

const MACHINES = Object.keys(GRAPHS) as MachineName[]
const OVERALL = 'overall'

/** What is shown: one machine, or all of them. */
type Subject = MachineName | typeof OVERALL

const FORMATS: Readonly<Record<string, (subject: Subject) => string | Promise<string>>> = {
  dot,
  svg: (subject) => drawSvg(dot(subject)),
  json: (subject) => `${JSON.stringify(json(subject), undefined, 2)}\n`,
}

const HELP = `
Usage: tapeline graph [MACHINE] [--format dot|svg|json] [--out FILE]

Draws the state machines, as they are in the code.

  MACHINE           ${MACHINES.join(', ')}, or ${OVERALL} (default)
  --format FORMAT   dot: Graphviz source (default); svg: a picture;
                    json: ids, states, edges, context and services
  --out FILE        write there instead of to standard output
`

export const command: Command = {
  name: 'graph',
  help: HELP,
  options: { format: { type: 'string' }, out: { type: 'string' } },
  async run(flags, words, terminal) {
    const format = FORMATS[textFlag(flags, 'format') ?? 'dot']
    if (format === undefined) throw new TapelineError('USAGE', '--format is dot, svg or json')
    if (words.length > 1) throw new TapelineError('USAGE', 'graph takes the name of one machine')
    const text = await format(subjectOf(words[0] ?? OVERALL))
    const out = textFlag(flags, 'out')
    if (out === undefined) terminal.print(text.trimEnd())
    else await save(out, text)
    return 0
  },
}

function subjectOf(word: string): Subject {
  const subject = [...MACHINES, OVERALL].find((name) => name === word)
  if (subject !== undefined) return subject as Subject
  throw new TapelineError('USAGE', `there is no machine ${JSON.stringify(word)}`, {
    remedy: `Use one of ${MACHINES.join(', ')}, or ${OVERALL}.`,
  })
}

function dot(subject: Subject): string {
  return subject === OVERALL ? overallDot(GRAPHS, MESSAGES) : machineDot(subject, GRAPHS[subject])
}

function json(subject: Subject): object {
  return subject === OVERALL ? overallJson(GRAPHS, MESSAGES) : { [subject]: machineJson(GRAPHS[subject]) }
}

async function save(path: string, text: string): Promise<void> {
  await writeFile(path, text).catch((error: Error) => {
    throw new TapelineError('USAGE', `--out cannot be written: ${error.message}`, { cause: error })
  })
}
