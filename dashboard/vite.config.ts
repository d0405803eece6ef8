import { defineConfig } from 'vite'

/** The page is served by the gateway under a policy that forbids whatever stands in the page itself, so nothing may be inlined. */
export default defineConfig({
  root: import.meta.dirname,
  logLevel: 'warn',
  build: {
    outDir: '../dist/dashboard',
    emptyOutDir: true,
    target: 'es2023',
    cssTarget: ['chrome125', 'firefox125', 'safari18'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The server names the modules of a view in its HTML.
    manifest: true,
    rolldownOptions: {
      output: {
        // What several views share is small: a request for each piece would cost more than the pieces.
        codeSplitting: { groups: [{ name: 'shared', minShareCount: 2, test: /dashboard[/\\][\w-]+\.ts$/ }] },
      },
    },
  },
})
