import fastifySwagger from '@fastify/swagger'
import scalar from '@scalar/fastify-api-reference'
import type { FastifySchema } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { ERROR_KINDS, type ErrorCode } from '../../errors.ts'
import { escapeHtml } from '../escape-html.ts'
import { PROBLEM_MEDIA_TYPE } from '../problem.ts'
import { problemSchema } from '../schemas/operations.ts'
import type { GatewayServer } from '../server.ts'

/** The page may load nothing from elsewhere: with the platform on a laptop there may be no network, and no outsider is to know. */
const SAME_SERVER_ONLY =
  "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"

/** Every route may answer these. */
const COMMON_ERRORS: readonly ErrorCode[] = ['INTERNAL', 'SHUTTING_DOWN']
const KEYED_ERRORS: readonly ErrorCode[] = ['UNAUTHORIZED', 'ORIGIN_REFUSED']

/** The description of the API: OpenAPI 3.1 at /docs/json, a page at /docs, the error codes at /docs/errors. Before any route. */
export async function registerDocs(app: GatewayServer, info: { readonly version: string }): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tapeline',
        version: info.version,
        description:
          'Market data from exchanges to your applications. Errors are problem documents (RFC 9457).',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      security: [{ bearer: [] }, { header: [] }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'Needed where API keys are configured.' },
          header: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        },
      },
    },
    transform: (document) => {
      const { schema, url } = jsonSchemaTransform(document)
      const { config = {} } = document.route
      return { schema: withProblems(withExamples(schema, config), config), url }
    },
    transformObject: (document) => withoutInputTwins(jsonSchemaTransformObject(document)),
  })

  await app.register(scalar, {
    routePrefix: '/docs',
    openApiDocumentEndpoints: { json: '/json', yaml: '/yaml' },
    // Without these the page asks fonts, telemetry and assistants of other hosts, and advertises its maker's hosting.
    configuration: {
      pageTitle: 'Tapeline API',
      withDefaultFonts: false,
      showDeveloperTools: 'never',
      hideClientButton: true,
      _integration: null,
      telemetry: false,
      agent: { disabled: true },
      mcp: { disabled: true },
    },
  })
  app.addHook('onSend', async (request, reply) => {
    const { url } = request.routeOptions
    if (!url?.startsWith('/docs')) return
    reply.header('content-security-policy', SAME_SERVER_ONLY)
    if (url.endsWith('.js')) reply.header('cache-control', 'public, max-age=86400')
  })

  app.route({
    method: 'GET',
    url: '/docs/errors',
    schema: { hide: true },
    handler: async (_request, reply) => reply.type('text/html; charset=utf-8').send(ERRORS_PAGE),
  })
}

interface RouteConfig {
  readonly open?: boolean
  readonly errors?: readonly ErrorCode[]
  readonly examples?: readonly object[]
}

/** Adds bodies as they may be. */
function withExamples(schema: FastifySchema, { examples }: RouteConfig): FastifySchema {
  return examples === undefined ? schema : { ...schema, body: { ...(schema.body as object), examples } }
}

/** Adds what a route may answer besides its results: a problem document for each status, with the codes that have it. */
function withProblems(schema: FastifySchema, config: RouteConfig): FastifySchema {
  const codes = [...(config.errors ?? []), ...(config.open ? [] : KEYED_ERRORS), ...COMMON_ERRORS]
  const byStatus = Map.groupBy(codes, (code) => String(ERROR_KINDS[code].status))
  const problems = [...byStatus].map(([status, members]) => [
    status,
    {
      description: members.map((code) => `${code}: ${ERROR_KINDS[code].meaning}`).join(' '),
      content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: `#/components/schemas/${PROBLEM_ID}` } } },
    },
  ])
  const results = schema.response ?? {}
  return { ...schema, response: { ...Object.fromEntries(problems), ...results } }
}

type ApiDocument = ReturnType<typeof jsonSchemaTransformObject>

/** The library describes each named schema twice, for input and output. Ours are only ever answered. */
function withoutInputTwins(document: ApiDocument): ApiDocument {
  const schemas = 'components' in document ? (document.components?.schemas ?? {}) : {}
  for (const name of Object.keys(schemas)) if (name.endsWith('Input')) delete schemas[name]
  return document
}

const PROBLEM_ID = problemSchema.meta()?.id ?? 'Problem'

const ERRORS_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tapeline: errors</title>
<style>
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
  body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
  h2 { font: 600 1rem ui-monospace, monospace; margin: 1.5rem 0 0.25rem }
  p { margin: 0 }
  :target { background: #ffd54a; color: #000 }
</style>
<h1>Errors</h1>
${Object.entries(ERROR_KINDS)
  .map(
    ([code, { status, meaning, remedy, retryable }]) =>
      `<h2 id="${code}">${code} (${status}${retryable ? ', worth trying again' : ''})</h2>\n` +
      `<p>${escapeHtml(meaning)}</p>\n<p>${escapeHtml(remedy)}</p>`,
  )
  .join('\n')}
</html>
`
