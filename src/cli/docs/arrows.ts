import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** What an import names, at the beginning of a statement or loaded later. */
const IMPORTED = /^(?:import|export)\s(?:[^'"]*?\sfrom\s)?'([^']+)'|\bimport\('([^']+)'\)/gm

/** A row of the layout: what it is about, and what that may import. */
interface Row {
  readonly places: readonly string[]
  readonly allowed: readonly string[]
}

/**
 * Imports against the arrows: those that the table under "Layout" in CONTRIBUTING.md does not name, and files that stand in none of its
 * rows. Each as `file: what`.
 */
export function forbiddenImports(root: string): readonly string[] {
  const rows = layout(readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8'))
  return ['src', 'dashboard']
    .flatMap((folder) => namesIn(root, folder))
    .filter((file) => file.endsWith('.ts'))
    .sort()
    .flatMap((file) => {
      const row = rows.find(({ places }) => places.some((place) => isWithin(file, place)))
      if (row === undefined) return [`${file}: stands in no row of the layout in CONTRIBUTING.md`]
      const text = readFileSync(join(root, file), 'utf8')
      return [...text.matchAll(IMPORTED)]
        .map(([, named, loaded]) => named ?? loaded ?? '')
        .filter((imported) => !isAllowed(root, file, imported, row))
        .map((imported) => `${file}: may not import ${imported} (CONTRIBUTING.md, Layout)`)
    })
}

function namesIn(root: string, folder: string): readonly string[] {
  const isThere = existsSync(join(root, folder))
  const names = isThere ? readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }) : []
  return names.map((name) => join(folder, name))
}

function layout(page: string): readonly Row[] {
  const [, table = ''] = /^## Layout\n(.*?)^## /ms.exec(page) ?? []
  return [...table.matchAll(/^\| (`(?:src|dashboard)\/.*?) \|.*\| (.*?) \|$/gm)].map(
    ([, places = '', allowed = '']) => ({
      places: [...places.matchAll(/`([^`]+)`/g)].map(([, place = '']) => place),
      allowed: allowed.split(', '),
    }),
  )
}

/** A place is a file, or a folder that ends with a slash; the adapters are parted from each other. */
function isWithin(file: string, place: string): boolean {
  return place.endsWith('/') ? file.startsWith(place) : file === place
}

function isAllowed(root: string, file: string, imported: string, { places, allowed }: Row): boolean {
  if (allowed.includes('everything')) return true
  if (!imported.startsWith('.')) return allowed.includes('libraries') || allowed.includes(imported)
  const target = relative(root, resolve(root, dirname(file), imported))
  const own = places.find((place) => isWithin(file, place)) ?? ''
  if (isWithin(target, own)) return true
  return allowed.some((name) => target === `src/${name}.ts` || target.startsWith(`src/${name}/`))
}
