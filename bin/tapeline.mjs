#!/usr/bin/env node
import './certain-end.mjs'
import { boundMemory } from './bounded-memory.mjs'
import { keepCompiled } from './compile-cache.mjs'
import { isCheckout, requireNode } from './require-node.mjs'

requireNode()
if (isCheckout) keepCompiled()
const args = process.argv.slice(2)
boundMemory(args)
const entry = new URL(isCheckout ? '../src/cli.ts' : '../dist/cli.js', import.meta.url)
const { main } = await import(entry.href)
await main(args)
