import type { Command } from './command.ts'

interface CommandEntry {
  /** What it is for: the heading under which the list of commands has it. */
  readonly group: string
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
    group: 'run it',
    summary: 'run everything in one process on simulated markets (npm start)',
    load: () => import('./demo.ts'),
  },
  up: {
    group: 'run it',
    summary: 'run the platform as the configuration says',
    load: () => import('./up.ts'),
  },
  doctor: {
    group: 'run it',
    summary: 'check what a platform needs, and what to do where it lacks something',
    load: () => import('./doctor.ts'),
  },
  migrate: {
    group: 'run it',
    summary: 'bring the schema of the database up to date',
    load: () => import('./migrate.ts'),
  },
  streams: {
    group: 'read and ask',
    summary: 'ask for streams of your own, list, move and end them',
    load: () => import('./streams.ts'),
  },
  tail: {
    group: 'read and ask',
    summary: 'print the events of a stream or a topic',
    load: () => import('./tail.ts'),
  },
  webhooks: {
    group: 'read and ask',
    summary: 'have streams posted to an address; list, pause, resume and end that',
    load: () => import('./webhooks.ts'),
  },
  markets: {
    group: 'read and ask',
    summary: 'list the markets that are stored or listed',
    load: () => import('./markets.ts'),
  },
  book: {
    group: 'read and ask',
    summary: 'show the order book of a market',
    load: () => import('./book.ts'),
  },
  instruments: {
    group: 'read and ask',
    summary: 'list what an exchange trades',
    load: () => import('./instruments.ts'),
  },
  sql: {
    group: 'read and ask',
    summary: 'ask the database with read-only SQL',
    load: () => import('./sql.ts'),
  },
  export: {
    group: 'read and ask',
    summary: 'write stored trades, quotes or candles as CSV, NDJSON or Parquet',
    load: () => import('./export.ts'),
  },
  alerts: {
    group: 'look after it',
    summary: 'list what lasts and a person should know about',
    load: () => import('./alerts.ts'),
  },
  actors: {
    group: 'look after it',
    summary: 'list the state machines of the running platform, watch them, or reset one',
    load: () => import('./actors.ts'),
  },
  gaps: {
    group: 'look after it',
    summary: 'list the gaps that were flagged, and whether they are filled',
    load: () => import('./gaps.ts'),
  },
  audit: {
    group: 'look after it',
    summary: 'say what is missing of each market and day',
    load: () => import('./audit.ts'),
  },
  backfill: {
    group: 'look after it',
    summary: 'get trades or candles of the past from the history of a source',
    load: () => import('./backfill.ts'),
  },
  'dead-letters': {
    group: 'look after it',
    summary: 'look at records that could not be stored, and have them enter again',
    load: () => import('./dead-letters.ts'),
  },
  keys: {
    group: 'look after it',
    summary: 'make keys for applications, list and revoke them',
    load: () => import('./keys.ts'),
  },
  simulate: {
    group: 'simulate, record, replay',
    summary: 'run a simulator of CryptoCompare or of exchanges alone',
    load: () => import('./simulate.ts'),
  },
  record: {
    group: 'simulate, record, replay',
    summary: 'write the raw frames of sources into files',
    load: () => import('./record.ts'),
  },
  replay: {
    group: 'simulate, record, replay',
    summary: 'run the platform on recorded frames',
    load: () => import('./replay.ts'),
  },
  graph: {
    group: 'work on it',
    summary: 'draw the state machines, or print them for programs',
    load: () => import('./graph.ts'),
  },
  docs: {
    group: 'work on it',
    summary: 'write the parts of docs/ that follow from the code',
    load: () => import('./docs.ts'),
  },
  completion: {
    group: 'work on it',
    summary: 'print what completes commands and flags in bash and zsh',
    load: async () => ({ command: (await import('./completion.ts')).completionCommand(loadCommands) }),
  },
}

/** All commands, loaded. */
async function loadCommands(): Promise<readonly Command[]> {
  return (await Promise.all(Object.values(COMMANDS).map(({ load }) => load()))).map(({ command }) => command)
}
