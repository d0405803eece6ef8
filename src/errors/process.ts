import type { ErrorKind } from './kind.ts'

/** Codes of the process itself: its commands, its configuration, its folder, and work in general. */
export const PROCESS_ERRORS = {
  NODE_TOO_OLD: {
    retryable: false,
    status: 500,
    meaning: 'The running Node is older than the platform needs.',
    remedy:
      'In the checkout run npm ci once, then everything through npm, which takes the Node 24 of the checkout: npm start, npm run -s tapeline -- COMMAND.',
  },
  USAGE: {
    retryable: false,
    status: 400,
    meaning: 'A command was called with words or flags it does not take.',
    remedy: 'See tapeline COMMAND --help.',
  },
  CONFIG_INVALID: {
    retryable: false,
    status: 500,
    meaning: 'A setting in the configuration file, the environment or a flag is not acceptable.',
    remedy: 'Correct the named setting; docs/configuration.md lists all of them.',
  },
  PARTITIONS_CHANGED: {
    retryable: false,
    status: 500,
    meaning: 'The number of partitions differs from the one the data was first written with.',
    remedy:
      'Set topics.partitions back to the former number. For another one start anew: embedded with another folder (--data), on a broker with other topics.prefix, topics.dynamicPrefix and topics.controlPrefix.',
  },
  DATA_FOLDER_LOCKED: {
    retryable: false,
    status: 503,
    meaning: 'Another process uses the data folder.',
    remedy: 'Stop the other process, or give this one another folder with --data.',
  },
  DATA_FOLDER_UNUSABLE: {
    retryable: false,
    status: 500,
    meaning: 'The data folder cannot be created, read or written, or was written by a newer version.',
    remedy: 'Check the path and its permissions, or choose another folder with --data.',
  },
  NOT_RUNNING: {
    retryable: false,
    status: 503,
    meaning: 'The command needs a running platform and found none.',
    remedy: 'Start one with npm start, or name its folder with --data.',
  },
  FILE_UNWRITABLE: {
    retryable: false,
    status: 500,
    meaning: 'A file that a command was told to write cannot be written.',
    remedy: 'Make room on the disk, look at the rights of the folder, or name another file.',
  },
  PORT_IN_USE: {
    retryable: false,
    status: 500,
    meaning: 'The address to listen on is taken.',
    remedy: 'Choose another one with --port.',
  },
  PUBLIC_WITHOUT_KEYS: {
    retryable: false,
    status: 500,
    meaning: 'The gateway was told to listen on a public address, but no API keys are configured.',
    remedy: 'Set TAPELINE_API_KEYS (name:key,name:key), or listen on 127.0.0.1.',
  },
  INTERNAL: {
    retryable: true,
    status: 500,
    meaning: 'Something failed that has no code of its own: a defect.',
    remedy: 'Please report it with the log around it.',
  },
  TIMEOUT: {
    retryable: true,
    status: 504,
    meaning: 'A wait reached its deadline.',
    remedy:
      'The platform tries its own work again by itself; ask again yourself, or for less. If it lasts, look at the load and at tapeline actors.',
  },
  SHUTTING_DOWN: {
    retryable: true,
    status: 503,
    meaning: 'The process is stopping and takes no more work.',
    remedy: 'Connect to another process, or again when it is back.',
  },
} as const satisfies Record<string, ErrorKind>
