import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SOURCES } from '../src/adapters/source/index.ts'
import { unknownCitations } from '../src/cli/docs/citations.ts'
import { COUNTERS, GAUGES, TIMERS } from '../src/telemetry/metrics.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const pages = [
  ...readdirSync(ROOT).map((name) => join(ROOT, name)),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true }).map((name) => join(ROOT, 'docs', String(name))),
].filter((path) => path.endsWith('.md'))

/** Text outside of blocks of code, where brackets are no links. */
function prose(path: string): string {
  return readFileSync(path, 'utf8').replace(/^```.*?^```/gms, '')
}

/** The anchors that GitHub gives the headings of a page. */
function anchorsOf(path: string): Set<string> {
  const headings = [...prose(path).matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => text)
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

describe('the pages', () => {
  for (const page of pages) {
    test(`${relative(ROOT, page)} links to what exists`, () => {
      for (const [, target = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue
        const [path = '', anchor] = target.split('#')
        const file = path === '' ? page : resolve(dirname(page), path)
        assert.ok(existsSync(file), `${target} does not exist`)
        if (anchor !== undefined) assert.ok(anchorsOf(file).has(anchor), `${target}: no such heading`)
      }
    })
  }

  test('the index leads to every page', () => {
    const index = prose(join(ROOT, 'docs/index.md')) + prose(join(ROOT, 'docs/decisions/README.md'))
    for (const page of pages.filter((path) => path.includes('/docs/') && !path.endsWith('index.md'))) {
      const name = relative(join(ROOT, 'docs'), page).replace(/^decisions\/(?!README)/, '')
      assert.ok(index.includes(`(${name})`), name)
    }
  })

  test('each source has its place on the page that it names, and a row in the table there', () => {
    for (const [kind, { name, page, channels, key }] of Object.entries(SOURCES)) {
      assert.equal(name, kind)
      const [path = '', anchor = ''] = page.split('#')
      const file = join(ROOT, 'docs', path)
      assert.ok(anchorsOf(file).has(anchor), page)
      const row = prose(file)
        .split('\n')
        .find((line) => line.startsWith(`| \`${kind}\` |`))
      const [, , keyed, ...given] = row?.split('|').map((cell) => cell.trim()) ?? []
      assert.equal(keyed, key ? 'yes' : 'no', `${kind}: key`)
      const gives = (['trade', 'quote', 'candle'] as const).filter((_, column) => given[column] !== 'no')
      assert.deepEqual(gives, channels, kind)
    }
  })

  test('the page of operations knows every metric, and no page any other', () => {
    const metrics = [COUNTERS, GAUGES, TIMERS].flatMap((table) => Object.keys(table))
    const known = new Set(metrics.map((name) => `tapeline_${name}`))
    const namesIn = (page: string): readonly string[] =>
      readFileSync(page, 'utf8').match(/\btapeline_[a-z_]+/g) ?? []
    const tables = ['tapeline_offsets', 'tapeline_migrations']
    for (const page of pages) {
      for (const name of namesIn(page).filter((each) => !tables.includes(each)))
        assert.ok(known.has(name), `${relative(ROOT, page)}: there is no ${name}`)
    }
    const operations = namesIn(join(ROOT, 'docs/operations.md'))
    for (const name of known) assert.ok(operations.includes(name), `docs/operations.md lacks ${name}`)
  })

  test('a rule or a file that is cited and not there is named', (t) => {
    const root = mkdtempSync(join(tmpdir(), 'tapeline-citations-'))
    t.after(() => rmSync(root, { recursive: true }))
    for (const folder of ['src', 'test', 'bench', 'examples', 'docs', 'deploy']) mkdirSync(join(root, folder))
    writeFileSync(join(root, 'docs/rules.md'), '**R1 Batches.** A batch.\n')
    // Written in two pieces, so that this file itself cites nothing unknown.
    writeFileSync(join(root, 'src/lag.ts'), `// Batches (R1), and more (${'R'}99).\n`)
    writeFileSync(join(root, 'README.md'), 'See `src/lag.ts`, `src/gone.ts` and `src/FOO/frames.ts`.\n')
    for (const page of ['CONTRIBUTING.md', 'CHANGELOG.md']) writeFileSync(join(root, page), '')
    assert.deepEqual(unknownCitations(root), [
      `src/lag.ts: docs/rules.md has no ${'R'}99`,
      'README.md: there is no src/gone.ts',
    ])
  })
})
