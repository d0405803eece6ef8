import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { TapelineError } from '../errors.ts'
import type { GatewayOptions } from './options.ts'
import { type GatewayServer, isVisit } from './server.ts'

/** Where `npm run dashboard` puts the page: the same folder for the checkout and for the published package. */
const BUILT = fileURLToPath(new URL('../../dist/dashboard/', import.meta.url))

/** The views of the page: each has an address of its own, all are one file, and each has a module of its own in `dashboard/views/`. */
const VIEWS = {
  '/': 'overview',
  '/machines': 'machines',
  '/machines/:machine': 'machines',
  '/markets': 'markets',
  '/markets/:exchange/:symbol': 'market',
  '/streams': 'streams',
  '/streams/:id': 'stream',
  '/data': 'data',
  '/health': 'health',
} as const

/** A browser loads scripts, styles and pictures from this server only, and runs nothing that stands in the page itself. */
const POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "object-src 'none'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** What a name never means anything else under: the build puts the content's hash into it. */
const FOR_EVER = 'public, max-age=31536000, immutable'

interface PageFile {
  readonly type: string
  readonly plain: Buffer
  readonly zipped: Buffer
}

/**
 * Serves the page that `npm run dashboard` has built, and the statecharts that it shows. Nothing of it needs a key: what it shows it asks
 * the API for. Where it was not built the answer says how to.
 */
export function registerPage(
  app: GatewayServer,
  { diagram }: Pick<GatewayOptions, 'diagram'>,
  folder = BUILT,
): void {
  let files: Promise<ReadonlyMap<string, PageFile>> | undefined
  /** Read at the first request. What is missing then is looked for again: it may be built meanwhile. */
  const built = async (): Promise<ReadonlyMap<string, PageFile>> => {
    files ??= readFiles(folder)
    const found = await files
    if (found.size === 0) files = undefined
    return found
  }

  for (const [url, view] of Object.entries(VIEWS)) {
    app.route({
      method: 'GET',
      url,
      schema: { hide: true },
      config: { open: true },
      handler: async (request, reply) => {
        const file = (await built()).get(htmlOf(view))
        reply.header('content-security-policy', POLICY).type(MEDIA_TYPES['.html'] ?? '')
        return file === undefined ? reply.send(NOT_BUILT) : sendFile(file, request, reply)
      },
    })
  }

  // The page says by itself that it has no such view, and leads on.
  app.addHook('onRequest', async (request, reply) => {
    if (!isVisit(request)) return undefined
    const file = (await built()).get('index.html')
    return file && sendFile(file, request, reply.code(404).header('content-security-policy', POLICY))
  })

  app.route({
    method: 'GET',
    url: '/assets/:name',
    schema: { hide: true, params: z.object({ name: z.string() }) },
    config: { open: true },
    handler: async (request, reply) => {
      const { name } = request.params
      const file = (await built()).get(`assets/${name}`)
      if (file === undefined) throw new TapelineError('NOT_FOUND', `there is nothing at /assets/${name}`)
      return sendFile(file, request, reply.header('cache-control', FOR_EVER))
    },
  })

  app.route({
    method: 'GET',
    url: '/diagrams/:name',
    schema: { hide: true, params: z.object({ name: z.string() }) },
    config: { open: true },
    handler: async (request, reply) => {
      const { name } = request.params
      const svg = await diagram(name.replace(/\.svg$/, ''))
      if (svg === undefined) throw new TapelineError('NOT_FOUND', `there is nothing at /diagrams/${name}`)
      return reply.type(MEDIA_TYPES['.svg'] ?? '').send(svg)
    },
  })
}

function sendFile({ type, plain, zipped }: PageFile, request: FastifyRequest, reply: FastifyReply) {
  reply.type(type).header('vary', 'accept-encoding')
  if (!/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))) return reply.send(plain)
  return reply.header('content-encoding', 'gzip').send(zipped)
}

/** All files of the page by their path, and the HTML of each view; none where it was not built. */
async function readFiles(folder: string): Promise<ReadonlyMap<string, PageFile>> {
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  const files = names
    .filter((name) => extname(name) in MEDIA_TYPES)
    .map(async (name) => {
      const type = MEDIA_TYPES[extname(name)] ?? ''
      return [name.replaceAll('\\', '/'), await fileOf(type, await readFile(join(folder, name)))] as const
    })
  const found = new Map(await Promise.all(files))
  const index = found.get('index.html')
  if (index === undefined) return found
  const manifest = names.some((name) => name === MANIFEST) ? await readManifest(join(folder, MANIFEST)) : {}
  for (const view of new Set(Object.values(VIEWS)))
    found.set(htmlOf(view), await fileOf(index.type, preloading(index.plain, modulesOf(manifest, view))))
  return found
}

async function fileOf(type: string, plain: Buffer): Promise<PageFile> {
  return { type, plain, zipped: await promisify(gzip)(plain) }
}

function htmlOf(view: string): string {
  return `views/${view}.html`
}

const MANIFEST: string = join('.vite', 'manifest.json')

/** What the build says of its modules. Source: https://vite.dev/guide/backend-integration */
const manifestSchema = z.record(
  z.string(),
  z.object({ file: z.string(), imports: z.array(z.string()).default([]) }),
)
type Manifest = z.output<typeof manifestSchema>

async function readManifest(path: string): Promise<Manifest> {
  return manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')))
}

/** The files that a view's module needs, itself among them. */
function modulesOf(manifest: Manifest, view: string): readonly string[] {
  const { file, imports = [] } = manifest[`views/${view}.ts`] ?? {}
  return [file, ...imports.map((name) => manifest[name]?.file)].filter((each) => each !== undefined)
}

/** HTML that has the browser fetch these modules beside the first script, which asks for them only once it runs. */
function preloading(html: Buffer, modules: readonly string[]): Buffer {
  const text = html.toString()
  const links = modules
    .filter((module) => !text.includes(module))
    .map((module) => `  <link rel="modulepreload" crossorigin href="/${module}">\n`)
  return Buffer.from(text.replace('</head>', `${links.join('')}</head>`))
}

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tapeline</title>
<h1>Tapeline runs</h1>
<p>Its page is not built yet. In the checkout, run <code>npm run dashboard</code>, then load this again.
<p>The rest is there: <a href="/docs">the API</a>, <a href="/v1/actors">machines</a>, <a href="/v1/streams">streams</a>,
<a href="/v1/alerts">alerts</a>, <a href="/metrics">metrics</a>, <a href="/readyz">readiness</a>.
</html>
`
