// Runs after `npm ci` in the checkout, and before the package is packed: builds the page, so that `npm start` shows it. Where what that needs
// is not there (an image that has not copied the sources yet, an installation without what is for development) it does nothing.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const vite = fileURLToPath(new URL('../node_modules/vite/bin/vite.js', import.meta.url))
if (existsSync(vite) && existsSync(new URL('../dashboard/index.html', import.meta.url))) {
  const { status } = spawnSync(process.execPath, [vite, 'build', 'dashboard'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0)
    console.error('The page could not be built; npm run dashboard says why. Everything else works.')
}
