import { setFlagsFromString } from 'node:v8'

/** The commands that run for months. */
const LASTING = ['up', 'demo']
/** Megabytes of each of the two halves for new objects, as many as Node had by default up to version 22. */
const HALF = 16
const FLAGS = [`--min-semi-space-size=${HALF}`, `--max-semi-space-size=${HALF}`]
/**
 * V8 collects garbage of its own accord where little is allocated, and gives back then what new objects had. A process at rest takes it again in the
 * next minutes: its memory went up and down by a tenth. It keeps it.
 */
const KEEP = '--no-memory-reducer-favors-memory'
/**
 * For glibc's allocator; others pass it over. By itself it has an area for each thread, and gives back nothing of one that has up to 64 MB free at
 * its end: a large statement or two cost 200 MB for good.
 */
const ALLOCATOR = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: String(1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(8 * 1024 * 1024),
}

/**
 * Bounds what a process that runs for long keeps of memory. Node 24 lets the memory for new objects grow up to 67 MB for hours, also in an idle process,
 * which looks like a leak: it has all of it from its start. V8 and glibc take their sizes at the start of a process alone, so this one begins anew in its
 * place, under its id. Whoever names a size for new objects has it, and all as Node has it; whoever names one of the allocator has that one.
 */
export function boundMemory([command = '']) {
  if (!LASTING.includes(command)) return
  setFlagsFromString(KEEP)
  const isNamed = /semi-space-size/.test([process.env.NODE_OPTIONS, ...process.execArgv].join(' '))
  // Windows cannot do it.
  if (isNamed || process.execve === undefined) return
  const { execPath, execArgv, argv, env } = process
  process.execve(execPath, [execPath, ...FLAGS, ...execArgv, ...argv.slice(1)], { ...ALLOCATOR, ...env })
}
