import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

/** Where nobody writes by hand. */
const LEFT_OUT = new Set(['node_modules', '.git', '.tapeline', 'dist', 'coverage'])
const WRITTEN = /\.(?:ts|mjs|md|yaml|sh|service)$|^(?:\.ci\/run|Dockerfile)$/
/** A file or folder by its path from the root, in a sentence or in a command. */
const PATH = /(?<![\w./@:-])(?:src|test|bench|bin|docs|deploy|examples)\/[\w./@*-]*/g
/** A file by the end of its path. */
const FILE = /(?<=`)[\w./-]+\.(?:ts|sh|md)(?=`)/g
/** Capitals (FOO, NNNN) and stars stand for what the reader chooses. */
const OPEN = /\*|\b(?!README|CONTRIBUTING|CHANGELOG)[A-Z]{3,}/
const LINK = /\]\(([^)\s]+)\)/g

/**
 * What text cites and the project does not have: rules that `docs/rules.md` does not say, and files, folders and headings that a page
 * names. Each as `file: what`.
 */
export function unknownCitations(root: string): readonly string[] {
  const files = filesIn(root)
  const rules = new Set(
    [...readFileSync(join(root, 'docs/rules.md'), 'utf8').matchAll(/^\*\*(R\d+) /gm)].map(([, rule]) => rule),
  )
  return files
    .filter((path) => WRITTEN.test(path))
    .flatMap((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      const cited = (text.match(/\bR\d{1,2}\b/g) ?? []).filter((rule) => !rules.has(rule))
      const missing = path.endsWith('.md')
        ? [...unknownFiles(text, files), ...deadLinks(root, path, text)]
        : []
      const what = [
        ...cited.map((rule) => `docs/rules.md has no ${rule}`),
        ...missing.map((name) => `there is no ${name}`),
      ]
      return [...new Set(what)].map((each) => `${path}: ${each}`)
    })
}

function filesIn(root: string): readonly string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter(({ name }) => !LEFT_OUT.has(name))
    .flatMap((entry) =>
      entry.isDirectory()
        ? readdirSync(join(root, entry.name), { recursive: true, withFileTypes: true })
        : [entry],
    )
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)))
    .sort()
}

/** Files of the example count as they will stand in the tree: by the end of their path. */
function unknownFiles(text: string, files: readonly string[]): readonly string[] {
  const named = [...(text.match(PATH) ?? []), ...(text.match(FILE) ?? [])]
  return named
    .map((name) => name.replace(/[./]+$/, ''))
    .filter((name) => !OPEN.test(name))
    .filter((name) => !files.some((path) => `/${path}`.endsWith(`/${name}`) || path.startsWith(`${name}/`)))
}

function deadLinks(root: string, page: string, text: string): readonly string[] {
  const targets = [...prose(text).matchAll(LINK)].map(([, target = '']) => target)
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : normalize(join(dirname(page), path))
      if (!existsSync(join(root, file))) return true
      return anchor !== undefined && !anchorsOf(readFileSync(join(root, file), 'utf8')).has(anchor)
    })
}

/** Text outside of blocks of code, where brackets are no links. */
function prose(text: string): string {
  return text.replace(/^ *```.*?^ *```/gms, '')
}

/** The anchors that GitHub gives the headings of a page. */
export function anchorsOf(text: string): ReadonlySet<string> {
  return new Set(
    [...prose(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}
