import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: string }
}

interface WireSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly Attribute[]
}

/** A span as a collector has it, and the process that sent it. */
export interface CollectedSpan extends Omit<WireSpan, 'attributes'> {
  readonly instance: string
  readonly attributes: Readonly<Record<string, string>>
}

interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[]
  }[]
}

const textsOf = (attributes: readonly Attribute[]): Record<string, string> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? '']))

/** A collector of traces: OTLP over HTTP, JSON. Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export async function startCollector() {
  const spans: CollectedSpan[] = []
  const headers: IncomingHttpHeaders[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    headers.push(request.headers)
    const isExport = request.method === 'POST' && request.url === '/v1/traces'
    if (isExport) {
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as ExportRequest
      for (const { resource, scopeSpans } of resourceSpans) {
        const instance = textsOf(resource.attributes)['service.instance.id'] ?? ''
        for (const each of scopeSpans.flatMap((scope) => scope.spans))
          spans.push({ ...each, instance, attributes: textsOf(each.attributes) })
      }
    }
    response.writeHead(isExport ? 200 : 404, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    headers,
    /** The traces that have a span of each of these names. */
    whole(names: readonly string[]): readonly (readonly CollectedSpan[])[] {
      return [...Map.groupBy(spans, ({ traceId }) => traceId).values()].filter((trace) =>
        names.every((name) => trace.some((span) => span.name === name)),
      )
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
