import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'

/** Where people write: code, tests, pages. */
const PLACES = [
  ...['src', 'test', 'bench', 'examples', 'docs', 'deploy'],
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
]
/** Files of the example stand in a tree of their own, as they will stand in this one. */
const TREES = ['.', 'examples/source']
/** A file by its path from the root. Capitals (FOO, NNNN) stand for what the reader chooses. */
const NAMED =
  /`((?:src|test|bench|bin|docs|deploy|examples|clients)\/[a-z0-9_./-]+\.(?:ts|mjs|md|yaml|json|py))`/g

/**
 * What text cites and the project does not have: rules that `docs/rules.md` does not say, and files that a page names. Each as
 * `file: what`.
 */
export function unknownCitations(root: string): readonly string[] {
  const rules = new Set(
    [...readFileSync(join(root, 'docs/rules.md'), 'utf8').matchAll(/^\*\*(R\d+) /gm)].map(([, rule]) => rule),
  )
  return PLACES.flatMap((place) => filesBelow(join(root, place))).flatMap((path) => {
    const text = readFileSync(path, 'utf8')
    const cited = [...text.matchAll(/\bR\d{1,2}\b/g)].map(([rule]) => rule).filter((rule) => !rules.has(rule))
    const named = !path.endsWith('.md')
      ? []
      : [...text.matchAll(NAMED)]
          .map(([, file = '']) => file)
          .filter((file) => !TREES.some((tree) => existsSync(join(root, tree, file))))
    return [
      ...[...new Set(cited)].map((rule) => `docs/rules.md has no ${rule}`),
      ...[...new Set(named)].map((file) => `there is no ${file}`),
    ].map((what) => `${relative(root, path)}: ${what}`)
  })
}

function filesBelow(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path]
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => /\.(ts|md)$/.test(name)).map((name) => join(path, name))
}
