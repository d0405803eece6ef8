import { readFileSync } from 'node:fs'

const PAGE = readFileSync(new URL('../docs/recipes.md', import.meta.url), 'utf8')

/** The blocks of code in a section of the page of recipes, in order. */
export function blocksOf(heading: string): readonly { readonly language: string; readonly code: string }[] {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({
    language,
    code,
  }))
}
