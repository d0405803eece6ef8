/** The commands that run for months. */
const LASTING = ['up', 'demo']
/** Megabytes of each of the two halves, as many as Node had by default up to version 22. */
const HALF = 16
const FLAGS = [`--min-semi-space-size=${HALF}`, `--max-semi-space-size=${HALF}`]

/**
 * Gives a process that runs for long all memory for new objects at its start. Node 24 lets it grow up to 67 MB for hours, also in an idle process,
 * which looks like a leak. V8 takes the size at the start of a process alone, so this one begins anew in its place, under its id.
 * Whoever names a size has it.
 */
export function boundYoungGeneration([command = '']) {
  const isNamed = /semi-space-size/.test([process.env.NODE_OPTIONS, ...process.execArgv].join(' '))
  // Windows cannot do it.
  if (!LASTING.includes(command) || isNamed || process.execve === undefined) return
  const { execPath, execArgv, argv, env } = process
  process.execve(execPath, [execPath, ...FLAGS, ...execArgv, ...argv.slice(1)], env)
}
