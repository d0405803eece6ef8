const SIGINT_CODE = 130

/**
 * Runs a tool of the tests, and sets the exit code of the process: what the work gives, 130 where Ctrl-C or SIGTERM ended it, 1 where
 * it failed, with the reason on standard error.
 */
export async function runTool(work: (ended: AbortSignal) => Promise<number>): Promise<void> {
  const ended = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ended.abort())
  try {
    process.exitCode = await work(ended.signal)
  } catch (error) {
    process.exitCode = ended.signal.aborted ? SIGINT_CODE : 1
    if (!ended.signal.aborted) console.error(error instanceof Error ? error.message : error)
  }
}

/** The number of a flag. Throws where the text is none, or less than `least`. */
export function numberFlag(name: string, text: string, least = Number.MIN_VALUE): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= least) || !Number.isFinite(value))
    throw new Error(
      `--${name} takes a number ${least > 0 ? 'above 0' : `from ${least} on`}, not ${JSON.stringify(text)}`,
    )
  return value
}
