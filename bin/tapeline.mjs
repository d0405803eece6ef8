#!/usr/bin/env node
import { isCheckout, requireNode } from './require-node.mjs'
import { boundYoungGeneration } from './young-generation.mjs'

requireNode()
const args = process.argv.slice(2)
boundYoungGeneration(args)
const entry = new URL(isCheckout ? '../src/cli.ts' : '../dist/cli.js', import.meta.url)
const { main } = await import(entry.href)
await main(args)
