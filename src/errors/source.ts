import type { ErrorKind } from './kind.ts'

/** Codes of sources of market data. */
export const SOURCE_ERRORS = {
  SOURCE_UNAVAILABLE: {
    retryable: true,
    status: 502,
    meaning: 'No configured way to the source delivers.',
    remedy: 'Check the network and the service; the platform goes on trying by itself.',
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
    remedy: 'Nothing to do: the platform waits. Fewer markets or a larger plan help.',
  },
  SOURCE_LIBRARY_MISSING: {
    retryable: false,
    status: 500,
    meaning: 'A source needs a library that is not installed.',
    remedy: 'npm install ccxt, in the folder where tapeline is installed or started.',
  },
  SOURCE_STALE: {
    retryable: true,
    status: 502,
    meaning: 'The connection is open, but neither heartbeats nor data arrive.',
    remedy: 'Nothing to do: the platform connects again.',
  },
  SOURCE_MALFORMED: {
    retryable: false,
    status: 502,
    meaning: 'The source sent something that is not of its own protocol, or a time that cannot be.',
    remedy:
      'Counted and left out. If it lasts, the protocol may have changed (please report a sample), or the clock of this machine is wrong.',
  },
  MARKET_UNKNOWN: {
    retryable: false,
    status: 502,
    meaning: 'The source does not know a market that was asked for.',
    remedy: 'Remove it from source.markets, or correct its name.',
  },
  CHANNEL_UNKNOWN: {
    retryable: false,
    status: 502,
    meaning: 'The source has a market that was asked for, but not all of its channels.',
    remedy: 'Nothing to do: the other channels are delivered. See the channels in source.channels.',
  },
  CAPTURE_INVALID: {
    retryable: false,
    status: 400,
    meaning: 'A file of recorded frames cannot be read.',
    remedy: 'Check the path; docs/sources.md says which files can be replayed.',
  },
} as const satisfies Record<string, ErrorKind>
