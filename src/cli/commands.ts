import type { Command } from './command.ts'

interface CommandEntry {
  /** One line for the list of commands. */
  readonly summary: string
  readonly load: () => Promise<{ readonly command: Command }>
}

/**
 * Each command by its name, in the order of the overview. Only the one that is called is loaded: all of them together take
 * a second.
 */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  demo: {
    summary: 'run everything in one process on simulated markets (npm start)',
    load: () => import('./demo.ts'),
  },
  up: {
    summary: 'run the platform as the configuration says',
    load: () => import('./up.ts'),
  },
  simulate: {
    summary: 'run a simulator of CryptoCompare or of exchanges alone',
    load: () => import('./simulate.ts'),
  },
  streams: {
    summary: 'ask for streams of your own, list, move and end them',
    load: () => import('./streams.ts'),
  },
  webhooks: {
    summary: 'have streams posted to an address, list, pause, resume and end that',
    load: () => import('./webhooks.ts'),
  },
  keys: {
    summary: 'make keys for applications, list and revoke them',
    load: () => import('./keys.ts'),
  },
  tail: {
    summary: 'print the events of a stream or a topic',
    load: () => import('./tail.ts'),
  },
  markets: {
    summary: 'list the markets that are stored or listed',
    load: () => import('./markets.ts'),
  },
  instruments: {
    summary: 'list what an exchange trades',
    load: () => import('./instruments.ts'),
  },
  book: {
    summary: 'show the order book of a market',
    load: () => import('./book.ts'),
  },
  sql: {
    summary: 'ask the database with read-only SQL',
    load: () => import('./sql.ts'),
  },
  export: {
    summary: 'write stored trades, quotes or candles as CSV, NDJSON or Parquet',
    load: () => import('./export.ts'),
  },
  backfill: {
    summary: 'get trades of the past from the history of a source',
    load: () => import('./backfill.ts'),
  },
  audit: {
    summary: 'say what is missing of each market and day',
    load: () => import('./audit.ts'),
  },
  gaps: {
    summary: 'list the gaps that were flagged, and whether they are filled',
    load: () => import('./gaps.ts'),
  },
  alerts: {
    summary: 'list what lasts and a person should know about',
    load: () => import('./alerts.ts'),
  },
  actors: {
    summary: 'list the state machines of the running platform, or reset one',
    load: () => import('./actors.ts'),
  },
  'dead-letters': {
    summary: 'look at records that could not be stored, and have them enter again',
    load: () => import('./dead-letters.ts'),
  },
  record: {
    summary: 'write the raw frames of sources into files',
    load: () => import('./record.ts'),
  },
  replay: {
    summary: 'run the platform on recorded frames',
    load: () => import('./replay.ts'),
  },
  migrate: {
    summary: 'bring the schema of the database up to date',
    load: () => import('./migrate.ts'),
  },
  doctor: {
    summary: 'check what a platform needs, and what to do where it lacks something',
    load: () => import('./doctor.ts'),
  },
  graph: {
    summary: 'draw the state machines, or print them for programs',
    load: () => import('./graph.ts'),
  },
  docs: {
    summary: 'write the parts of docs/ that follow from the code',
    load: () => import('./docs.ts'),
  },
  completion: {
    summary: 'print what completes commands and flags in bash and zsh',
    load: async () => ({ command: (await import('./completion.ts')).completionCommand(loadCommands) }),
  },
}

/** All commands, loaded. */
async function loadCommands(): Promise<readonly Command[]> {
  return (await Promise.all(Object.values(COMMANDS).map(({ load }) => load()))).map(({ command }) => command)
}
