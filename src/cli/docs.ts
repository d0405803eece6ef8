import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { diagramFiles } from '../diagram/files.ts'
import type { Command } from './command.ts'
import { forbiddenImports } from './docs/arrows.ts'
import { unknownCitations } from './docs/citations.ts'
import { configurationPage, configurationSchema } from './docs/configuration-page.ts'
import { errorsPage } from './docs/errors-page.ts'
import { recipesNotebook } from './docs/notebook.ts'

/** Gives generated pages and pictures by their path below `docs/`. */
type Generator = () => Promise<ReadonlyMap<string, string>>

const GENERATORS: readonly Generator[] = [
  async () => new Map([...(await diagramFiles())].map(([name, text]) => [`machines/${name}`, text])),
  async () => new Map([['errors.md', errorsPage()]]),
  async () => new Map([['configuration.md', configurationPage()]]),
  async () => new Map([['tapeline.schema.json', configurationSchema()]]),
  async () => new Map([['recipes.ipynb', recipesNotebook()]]),
]

const ROOT = new URL('../../', import.meta.url)
const DOCS = new URL('docs/', ROOT)

const HELP = `
Usage: tapeline docs [--check]

Writes the parts of docs/ that follow from the code: the diagrams of the machines, the lists of errors and
settings, the schema of the configuration file; and the notebook of the page of recipes. Names what code and pages cite and nobody finds: rules that
docs/rules.md does not have, files that are not there, imports against the arrows in CONTRIBUTING.md.

  --check   write nothing; exit with 1 and name the files that are out of date
`

export const command: Command = {
  name: 'docs',
  help: HELP,
  options: { check: { type: 'boolean' } },
  async run(flags, _words, terminal) {
    const stale: string[] = []
    for (const generate of GENERATORS) {
      for (const [path, text] of await generate()) {
        if ((await read(path)) === text) continue
        stale.push(path)
        if (!flags['check']) await write(path, text)
      }
    }
    for (const path of stale)
      terminal.print(`docs/${path} ${flags['check'] ? 'is out of date' : 'is written'}`)
    const root = fileURLToPath(ROOT)
    const wrong = [...unknownCitations(root), ...forbiddenImports(root)]
    for (const each of wrong) terminal.print(each)
    if (flags['check'] && stale.length > 0) terminal.note('npm run docs brings them up to date.')
    return wrong.length > 0 || (flags['check'] && stale.length > 0) ? 1 : 0
  },
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(new URL(path, DOCS), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function write(path: string, text: string): Promise<void> {
  const file = new URL(path, DOCS)
  await mkdir(new URL('./', file), { recursive: true })
  await writeFile(file, text)
}
