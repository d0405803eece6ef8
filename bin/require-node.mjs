// Plain JavaScript that any Node can read: it says what is wrong where the program itself could not even be parsed.
import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/** Whether this is the checkout, where the sources run as they are, rather than the published package. */
export const isCheckout = existsSync(new URL('../src/cli.ts', import.meta.url))

/** Ends the process with a clear message where Node is too old. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 15)) return
  const remedy = isCheckout
    ? 'Run "npm ci" with install scripts (they bring Node 24), then start everything through npm:\n' +
      '  npm start, npm test, npm run -s tapeline -- COMMAND\n' +
      'After an install with --ignore-scripts run "npm rebuild node", or install Node 24 yourself.'
    : 'Install Node 24.15 or newer and run it again.'
  process.stderr.write(
    `NODE_TOO_OLD: tapeline needs Node 24.15 or newer, this is ${process.versions.node}.\n${remedy}\n`,
  )
  process.exit(1)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) requireNode()
