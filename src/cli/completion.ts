import { TapelineError } from '../errors.ts'
import { type Command, expectWords, textFlag } from './command.ts'

const HELP = `
Usage: tapeline completion bash|zsh [--name NAME]

Prints a script that has the shell complete commands, subcommands, flags and the words that a flag takes.

  --name NAME   what you type instead of tapeline, such as an alias (default: tapeline)

Examples:
  source <(tapeline completion bash)
  source <(tapeline completion zsh)
  alias T='npm run -s tapeline --'; source <(T completion bash --name T)
`

const SHELLS = ['bash', 'zsh'] as const

/** The command that prints the scripts for all commands, itself included. */
export function completionCommand(load: () => Promise<readonly Command[]>): Command {
  return {
    name: 'completion',
    help: HELP,
    options: { name: { type: 'string' } },
    subcommands: SHELLS,
    async run(flags, words, terminal) {
      expectWords(words, SHELLS.join(' or '), 1)
      const shell = SHELLS.find((each) => each === words[0])
      if (shell === undefined)
        throw new TapelineError('USAGE', `${JSON.stringify(words[0])} is none of ${SHELLS.join(', ')}`)
      const name = textFlag(flags, 'name') ?? 'tapeline'
      if (!/^[\w.-]+$/.test(name))
        throw new TapelineError('USAGE', `--name takes a word, not ${JSON.stringify(name)}`)
      terminal.print(`${PREFACES[shell]}${scriptOf(name, await load())}`)
      return 0
    },
  }
}

/** Zsh reads scripts of bash once it has loaded what they stand on. */
const PREFACES = {
  bash: '',
  zsh: 'autoload -U +X compinit && compinit -i\nautoload -U +X bashcompinit && bashcompinit\n',
} as const

/** A function for bash's `complete`, which calls it with the command, the word that is typed, and the word before. */
function scriptOf(name: string, commands: readonly Command[]): string {
  const names = commands.map((each) => each.name).join(' ')
  const byCommand = commands.map(({ name: each, options, subcommands = [] }) => {
    const flags = [...Object.keys(options), 'help'].map((flag) => `--${flag}`)
    return `    ${each}) words="${[...subcommands, ...flags].join(' ')}" ;;`
  })
  const ofFlags = Object.entries(VALUES).map(
    ([flag, values]) => `    ${flag}) COMPREPLY=($(compgen -W "${values}" -- "$2")); return ;;`,
  )
  return `_tapeline() {
  local command words
  read -r _ command _ <<< "$COMP_LINE"
  case "$command $3" in
${ofFlags.join('\n')}
    ${FILES.map((flag) => `*" --${flag}"`).join('|')}) COMPREPLY=($(compgen -f -- "$2")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then command=; fi
  case "$command" in
    "") words="${names} help version --help --version" ;;
${byCommand.join('\n')}
    help) words="${names}" ;;
    *) words="" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$2"))
}
complete -o default -F _tapeline ${name}`
}

/** The words that a flag takes, by patterns of the command and the flag; and the flags that take a path. */
const VALUES = {
  '"export --channel"': 'trade quote candle',
  '"export --format"': 'csv ndjson parquet',
  '"graph --format"': 'dot svg json',
  '*" --channel"': 'trade quote candle book status',
  '*" --roles"': 'producer coordinator consumer-fixed gateway',
  '*" --log-level"': 'debug info warn error silent',
  '*" --log"': 'pretty json',
  '*" --from"': 'earliest latest',
  '*" --state"': 'open replayed all',
} as const
const FILES = ['config', 'data', 'ledger', 'trace', 'out'] as const
