import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SOURCES } from '../src/adapters/source/index.ts'
import { COMMANDS } from '../src/cli/commands.ts'
import { forbiddenImports } from '../src/cli/docs/arrows.ts'
import { anchorsOf, unknownCitations } from '../src/cli/docs/citations.ts'
import { ERROR_KINDS, pageOfCode } from '../src/errors.ts'
import { COUNTERS, GAUGES, TIMERS } from '../src/telemetry/metrics.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const pages = [
  ...readdirSync(ROOT).map((name) => join(ROOT, name)),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true }).map((name) => join(ROOT, 'docs', String(name))),
].filter((path) => path.endsWith('.md'))

const read = (path: string): string => readFileSync(path, 'utf8')

describe('the pages', () => {
  test('cite rules, and name files, folders and headings that there are', () => {
    assert.deepEqual(unknownCitations(ROOT), [])
  })

  test('the index leads to every page', () => {
    const index = read(join(ROOT, 'docs/index.md')) + read(join(ROOT, 'docs/decisions/README.md'))
    for (const page of pages.filter((path) => path.includes('/docs/') && !path.endsWith('index.md'))) {
      const name = relative(join(ROOT, 'docs'), page).replace(/^decisions\/(?!README)/, '')
      assert.ok(index.includes(`(${name})`), name)
    }
  })

  test('the page of the API has every route, and the page of commands every command', () => {
    const routes = readdirSync(join(ROOT, 'src/gateway/routes')).flatMap((name) =>
      [...read(join(ROOT, 'src/gateway/routes', name)).matchAll(/\burl: ['`](\/(?:v1|udf)\/[^'`]+)/g)].map(
        ([, url = '']) => url.replace(/:(\w+)/g, '{$1}').replace(/\$\{.*/, ''),
      ),
    )
    assert.ok(routes.length > 20)
    const api = read(join(ROOT, 'docs/api.md'))
    for (const route of routes) assert.ok(api.includes(route), `docs/api.md lacks ${route}`)
    const commands = read(join(ROOT, 'docs/commands.md'))
    for (const name of Object.keys(COMMANDS))
      assert.match(commands, new RegExp(`^(## |\\| \`)${name}\\b`, 'm'), `docs/commands.md lacks ${name}`)
  })

  test('each source has its place on the page that it names, and a row in the table there', () => {
    for (const [kind, { name, page, channels, key }] of Object.entries(SOURCES)) {
      assert.equal(name, kind)
      const [path = '', anchor = ''] = page.split('#')
      const file = join(ROOT, 'docs', path)
      assert.ok(anchorsOf(read(file)).has(anchor), page)
      const row = read(file)
        .split('\n')
        .find((line) => line.startsWith(`| \`${kind}\` |`))
      const [, , keyed, ...given] = row?.split('|').map((cell) => cell.trim()) ?? []
      assert.equal(keyed, key ? 'yes' : 'no', `${kind}: key`)
      const gives = (['trade', 'quote', 'candle', 'book'] as const).filter(
        (_, column) => given[column] !== 'no',
      )
      assert.deepEqual(gives, channels, kind)
    }
  })

  test('each error code stands in one table, and all tables are read', async () => {
    const tables: string[][] = []
    for (const name of readdirSync(join(ROOT, 'src/errors')).filter((each) => each !== 'kind.ts')) {
      const exported: Readonly<Record<string, object>> = await import(join(ROOT, 'src/errors', name))
      tables.push(...Object.values(exported).map((table) => Object.keys(table)))
    }
    assert.ok(tables.length > 5)
    assert.deepEqual(tables.flat().sort(), Object.keys(ERROR_KINDS).sort())
  })

  test('every alert has its code on the page of alerts, and a place on the page that it names', () => {
    const errors = anchorsOf(read(join(ROOT, 'docs/errors.md')))
    for (const code of Object.keys(ERROR_KINDS)) {
      const [page, anchor = ''] = pageOfCode(code).split('#')
      assert.ok(page === 'docs/errors.md' && errors.has(anchor), code)
    }
    const alerts = read(join(ROOT, 'docs/alerts.md'))
    for (const [, code = ''] of alerts.matchAll(/`([A-Z]+_[A-Z_]+)`/g))
      assert.ok(code === 'RESET' || Object.hasOwn(ERROR_KINDS, code), `there is no ${code}`)
    const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    const raised = sources
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [
        ...read(join(ROOT, 'src', name)).matchAll(/\braise(?:Alert)?\(\s*[^,()]+,\s*'([A-Z_]+)'/g),
      ])
    assert.ok(raised.length > 5)
    for (const [, code = ''] of raised)
      assert.ok(alerts.includes(`\`${code}\``), `docs/alerts.md has no ${code}`)
  })

  test('the page of metrics knows every metric, and no page any other', () => {
    const metrics = [COUNTERS, GAUGES, TIMERS].flatMap((table) => Object.keys(table))
    const known = new Set(metrics.map((name) => `tapeline_${name}`))
    const namesIn = (page: string): readonly string[] => read(page).match(/\btapeline_[a-z_]+/g) ?? []
    const tables = ['tapeline_offsets', 'tapeline_migrations']
    for (const page of pages) {
      for (const name of namesIn(page).filter((each) => !tables.includes(each)))
        assert.ok(known.has(name), `${relative(ROOT, page)}: there is no ${name}`)
    }
    const watching = namesIn(join(ROOT, 'docs/watching.md'))
    for (const name of known) assert.ok(watching.includes(name), `docs/watching.md lacks ${name}`)
  })

  test('a rule or a file that is cited and not there is named', (t) => {
    const root = mkdtempSync(join(tmpdir(), 'tapeline-citations-'))
    t.after(() => rmSync(root, { recursive: true }))
    const files = {
      'docs/rules.md': '**R1 Batches.** A batch.\n',
      // Written in two pieces, so that this file itself cites nothing unknown.
      'src/lag.ts': `// Batches (R1), and more (${'R'}99).\n`,
      'deploy/tapeline.yaml': `# ${'R'}98\n`,
      'examples/source/src/tide.ts': '',
      'README.md':
        'See `src/lag.ts`, `src/gone.ts`, `src/tide.ts`, `src/FOO/frames.ts`, `lag.ts` and `lost.ts`.\n',
      'CONTRIBUTING.md':
        '# A `way`, well\n[on](#a-way-well) [off](#no-way) [there](docs/rules.md) [not](docs/none.md)\n',
      'docs/recipes.md': '```sh\ncp -r examples/source/. .\nls bench/none\n```\n',
    }
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(root, dirname(path)), { recursive: true })
      writeFileSync(join(root, path), text)
    }
    assert.deepEqual(unknownCitations(root), [
      'CONTRIBUTING.md: there is no docs/none.md',
      'CONTRIBUTING.md: there is no #no-way',
      'README.md: there is no src/gone.ts',
      'README.md: there is no lost.ts',
      `deploy/tapeline.yaml: docs/rules.md has no ${'R'}98`,
      'docs/recipes.md: there is no bench/none',
      `src/lag.ts: docs/rules.md has no ${'R'}99`,
    ])
  })

  test('an import against the arrows is named, and a file without a place', (t) => {
    const root = mkdtempSync(join(tmpdir(), 'tapeline-arrows-'))
    t.after(() => rmSync(root, { recursive: true }))
    cpSync(join(ROOT, 'CONTRIBUTING.md'), join(root, 'CONTRIBUTING.md'))
    const wrong = {
      'src/domain/a.ts': ["'node:fs'", "'../ports/source.ts'"],
      'src/machines/a.ts': ["'../async/timers.ts'"],
      'src/services/producer/a.ts': ["'../../adapters/source/index.ts'"],
      'src/adapters/store/a.ts': ["'../source/index.ts'", "'../../config.ts'", "'../../topology/sources.ts'"],
      'src/gateway/routes/a.ts': ["'../../control/bus.ts'"],
    }
    const right = ["'./b.ts'", "'../errors.ts'", "'zod'"].map((from) => `export * from ${from}`)
    for (const [file, imports] of Object.entries({ ...wrong, 'src/domain/b.ts': [], 'src/odd.ts': [] })) {
      const ways = [
        (from: string) => `import {\n  a,\n} from ${from}`,
        (from: string) => `import type { B } from ${from}`,
      ]
      const lines = imports.map((from, i) => ways[i % 2]?.(from))
      mkdirSync(join(root, dirname(file)), { recursive: true })
      const all = file === 'src/domain/b.ts' ? right : [...lines, 'export {}']
      writeFileSync(join(root, file), `${all.join('\n')}\n`)
    }
    assert.deepEqual(
      [...forbiddenImports(root)].sort(),
      [
        ...Object.entries(wrong).flatMap(([file, imports]) =>
          imports.map((from) => `${file}: may not import ${from.slice(1, -1)} (CONTRIBUTING.md, Layout)`),
        ),
        'src/odd.ts: stands in no row of the layout in CONTRIBUTING.md',
      ].sort(),
    )
  })
})
