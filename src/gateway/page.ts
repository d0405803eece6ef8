import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { TapelineError } from '../errors.ts'
import type { GatewayOptions } from './options.ts'
import type { GatewayServer } from './server.ts'

/** Where `npm run dashboard` puts the page: the same folder for the checkout and for the published package. */
const BUILT = fileURLToPath(new URL('../../dist/dashboard/', import.meta.url))

/** The views of the page: each has an address of its own, and all are one file. */
const VIEWS = [
  '/',
  '/machines',
  '/machines/:machine',
  '/markets',
  '/markets/:exchange/:symbol',
  '/streams',
  '/streams/:id',
  '/data',
  '/health',
]

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

  for (const url of VIEWS) {
    app.route({
      method: 'GET',
      url,
      schema: { hide: true },
      config: { open: true },
      handler: async (request, reply) => {
        const file = (await built()).get('index.html')
        reply.header('content-security-policy', POLICY).type(MEDIA_TYPES['.html'] ?? '')
        return file === undefined ? reply.send(NOT_BUILT) : sendFile(file, request, reply)
      },
    })
  }

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

/** All files of the page by their path; none where it was not built. */
async function readFiles(folder: string): Promise<ReadonlyMap<string, PageFile>> {
  const zip = promisify(gzip)
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  const files = names
    .filter((name) => extname(name) in MEDIA_TYPES)
    .map(async (name) => {
      const plain = await readFile(join(folder, name))
      const type = MEDIA_TYPES[extname(name)] ?? ''
      return [name.replaceAll('\\', '/'), { type, plain, zipped: await zip(plain) }] as const
    })
  return new Map(await Promise.all(files))
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
