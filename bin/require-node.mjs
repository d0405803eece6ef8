// Plain JavaScript that any Node can read: it says what is wrong where the program itself could not even be parsed.
import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/** Whether this is the checkout, where the sources run as they are, rather than the published package. */
export const isCheckout = existsSync(new URL('../src/cli.ts', import.meta.url))

/** Ends the process with a clear message where Node is too old. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 15)) return
  const tooOld = `NODE_TOO_OLD: tapeline needs Node 24.15 or newer, this is ${process.versions.node}.`
  process.stderr.write(
    `${tooOld}\n${isCheckout ? remedyInCheckout() : 'Install Node 24.15 or newer and run this again.'}\n`,
  )
  process.exit(1)
}

/** Bare `node` is the system's own; npm runs the one that the checkout has. */
function remedyInCheckout() {
  const isInstalled = existsSync(new URL('../node_modules/node/bin/node', import.meta.url))
  if (isInstalled)
    return `This checkout has its own, which npm runs. Run instead:\n  ${sameThroughNpm(process.argv)}`
  const isPackage = existsSync(new URL('../node_modules', import.meta.url))
  return isPackage
    ? 'Node 24 is missing in node_modules, as after an install with --ignore-scripts. Run "npm rebuild node", then:\n' +
        `  ${sameThroughNpm(process.argv)}`
    : `Run "npm ci", which brings Node 24, then:\n  ${sameThroughNpm(process.argv)}`
}

/** What was run, with the Node of the checkout; its flags are not repeated, since a secret may be among them. */
function sameThroughNpm([, script = '', command = '--help', ...flags]) {
  if (!script.endsWith('tapeline.mjs')) return 'npm start, npm test, or npm run -s tapeline -- COMMAND'
  const same =
    command === 'demo'
      ? 'npm start'
      : `npm run -s tapeline -- ${/^[a-z-]+$/.test(command) ? command : 'COMMAND'}`
  if (flags.length === 0) return same
  return command === 'demo' ? `${same} -- FLAGS, with the same flags` : `${same} FLAGS, with the same flags`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) requireNode()
