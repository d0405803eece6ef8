import type { ErrorKind } from './kind.ts'

/** Codes of sources of market data. */
export const SOURCE_ERRORS = {
  SOURCE_UNAVAILABLE: {
    retryable: true,
    status: 502,
    meaning: 'No configured way to the source delivers.',
    remedy:
      'Check the network, and the status page of the service: tapeline doctor says how far it comes. The platform goes on trying by itself.',
  },
  SOURCE_UNAUTHORIZED: {
    retryable: true,
    status: 502,
    meaning: 'The source refused the key.',
    remedy: 'Check CRYPTOCOMPARE_API_KEY. A source that takes no key may refuse the address of this machine.',
  },
  SOURCE_RATE_LIMITED: {
    retryable: true,
    status: 502,
    meaning: 'The source refuses calls because of its rate limit.',
    remedy:
      'The platform waits and goes on by itself. To stay below the limit name fewer markets in source.markets, run fewer producers from one address, or take a larger plan.',
  },
  SOURCE_LIBRARY_MISSING: {
    retryable: false,
    status: 500,
    meaning: 'A source needs a library that is not installed.',
    remedy: 'Run npm install ccxt in the folder where tapeline is installed or started.',
  },
  SOURCE_STALE: {
    retryable: true,
    status: 502,
    meaning: 'The connection is open, but neither heartbeats nor data arrive.',
    remedy:
      'Nothing has to be done: the platform connects again. If it comes again and again, check the network.',
  },
  SOURCE_MALFORMED: {
    retryable: false,
    status: 502,
    meaning: 'The source sent something that is not of its own protocol, or a time that cannot be.',
    remedy:
      'If all is refused, set the clock of this machine. Otherwise nothing has to be done: it is counted and left out. If it lasts, the protocol may have changed: please report the sample in the log.',
  },
  MARKET_UNKNOWN: {
    retryable: false,
    status: 502,
    meaning: 'The source does not know a market that was asked for.',
    remedy:
      'Remove it from source.markets, or correct its name: tapeline instruments lists what an exchange trades.',
  },
  MARKET_AMBIGUOUS: {
    retryable: false,
    status: 502,
    meaning: 'Two markets that were asked for, or that an exchange lists, are or would be one.',
    remedy:
      'Ask for the market by the name that stands in the message: one of the two is delivered, and nothing is mixed.',
  },
  CHANNEL_UNKNOWN: {
    retryable: false,
    status: 502,
    meaning: 'The source has a market that was asked for, but not all of its channels.',
    remedy:
      'Nothing has to be done: the other channels are delivered. docs/sources.md says which source has which; leave the others out of source.channels.',
  },
  CAPTURE_INVALID: {
    retryable: false,
    status: 400,
    meaning: 'A file of recorded frames cannot be read.',
    remedy: 'Check the path; docs/recordings.md says which files can be replayed.',
  },
} as const satisfies Record<string, ErrorKind>
