#!/usr/bin/env node
import { isCheckout, requireNode } from './require-node.mjs'

requireNode()
const entry = new URL(isCheckout ? '../src/cli.ts' : '../dist/cli.js', import.meta.url)
const { main } = await import(entry.href)
await main(process.argv.slice(2))
