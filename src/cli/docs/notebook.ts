import { readFileSync } from 'node:fs'

const PAGE = new URL('../../../docs/recipes.md', import.meta.url)

/** The notebook of the page of recipes, in Jupyter's format: its blocks as cells, with the text in front of each. */
export function recipesNotebook(): string {
  const page = readFileSync(PAGE, 'utf8')
  const [helper] = cellsOf(sectionOf(page, 'pandas')).slice(-1)
  const [, ...others] = cellsOf(sectionOf(page, 'A Jupyter notebook'))
  const cells = [helper, ...others]
    .filter((cell) => cell !== undefined)
    .flatMap(({ text, code }, i) => [
      ...(i < 2 || text === ''
        ? []
        : [{ cell_type: 'markdown', id: `text-${i}`, metadata: {}, source: text }]),
      { cell_type: 'code', id: `code-${i}`, execution_count: null, metadata: {}, outputs: [], source: code },
    ])
  const kernelspec = { display_name: 'Python 3', language: 'python', name: 'python3' }
  return `${JSON.stringify({ cells, metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 }, null, 1)}\n`
}

function sectionOf(page: string, heading: string): string {
  return page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
}

/** Each block of code with the text between it and the one before. */
function cellsOf(section: string): readonly { readonly text: string; readonly code: string }[] {
  return [...section.matchAll(/(.*?)^```\w+\n(.*?)^```$/gms)].map(([, text = '', code = '']) => ({
    text: text.trim(),
    code: code.trimEnd(),
  }))
}
