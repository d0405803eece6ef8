import type { Command } from './command.ts'

/**
 * Each command by its name, in the order of the overview. Only the one that is called is loaded: all of them together take
 * half a second.
 */
export const COMMANDS: Readonly<Record<string, () => Promise<{ readonly command: Command }>>> = {
  demo: () => import('./demo.ts'),
  up: () => import('./up.ts'),
  simulate: () => import('./simulate.ts'),
  streams: () => import('./streams.ts'),
  webhooks: () => import('./webhooks.ts'),
  keys: () => import('./keys.ts'),
  tail: () => import('./tail.ts'),
  markets: () => import('./markets.ts'),
  instruments: () => import('./instruments.ts'),
  book: () => import('./book.ts'),
  sql: () => import('./sql.ts'),
  export: () => import('./export.ts'),
  backfill: () => import('./backfill.ts'),
  audit: () => import('./audit.ts'),
  gaps: () => import('./gaps.ts'),
  alerts: () => import('./alerts.ts'),
  actors: () => import('./actors.ts'),
  'dead-letters': () => import('./dead-letters.ts'),
  record: () => import('./record.ts'),
  replay: () => import('./replay.ts'),
  migrate: () => import('./migrate.ts'),
  doctor: () => import('./doctor.ts'),
  graph: () => import('./graph.ts'),
  docs: () => import('./docs.ts'),
  completion: async () => ({ command: (await import('./completion.ts')).completionCommand(loadCommands) }),
}

/** All commands, loaded. */
export async function loadCommands(): Promise<readonly Command[]> {
  return (await Promise.all(Object.values(COMMANDS).map((load) => load()))).map(({ command }) => command)
}
