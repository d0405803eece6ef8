import { z } from 'zod'
import { actorsSchema, alertsSchema, readinessSchema } from '../../gateway/schemas/operations.ts'
import { topicsSchema } from '../../gateway/schemas/topics.ts'
import type { PlacedActor } from '../../ports/actors.ts'
import type { ApiClient } from '../api-client.ts'
import { type Finding, fail, failure, ok, warn } from './finding.ts'

const oneSourceSchema = z.object({
  ...{ name: z.string(), way: z.string(), markets: z.number() },
  ...{ failure: z.string().nullable(), without: z.array(z.string()) },
})
const sourceSchema = oneSourceSchema.extend({ members: z.array(oneSourceSchema).optional() })

/** How long each answer may take. */
const timeoutMs = 4_000

/** Whether the running platform is ready, and what it has to say. */
export async function checkPlatform(
  client: ApiClient,
  { hasGateway }: { readonly hasGateway: boolean },
  signal: AbortSignal,
): Promise<Finding[]> {
  try {
    const readiness = await client.call('/readyz', readinessSchema, signal, { alsoReads: 503, timeoutMs })
    const late = readiness.checks.filter(({ ok: isGood }) => !isGood)
    const findings = [
      readiness.ready
        ? ok('platform', `ready at ${client.address}`)
        : fail(
            'platform',
            `not ready: ${late.map(({ name, detail }) => `${name} (${detail ?? 'no detail'})`).join(', ') || 'it is starting'}`,
            'Look again in some seconds; its log and tapeline actors say more.',
          ),
    ]
    const { actors } = await client.call('/v1/actors', actorsSchema, signal, { timeoutMs })
    for (const { id, errorInfo } of actors) {
      if (errorInfo === null) continue
      const detail = `${errorInfo.code} in ${errorInfo.step}, attempt ${errorInfo.attempt}: ${errorInfo.message}`
      findings.push(warn(id, detail, 'It goes on trying by itself; docs/errors.md explains the code.'))
    }
    findings.push(...actors.flatMap(sourceFindings))
    const { alerts } = await client.call('/v1/alerts', alertsSchema, signal, { timeoutMs })
    for (const { id, code, message, since } of alerts) {
      findings.push(
        warn(`alert ${id}`, `${code} since ${since}: ${message}`, 'docs/errors.md explains the code.'),
      )
    }
    return hasGateway ? [...findings, ...(await unknownTopics(client, signal))] : findings
  } catch (error) {
    return [failure('platform', error)]
  }
}

/** How each source of a producer of this process is, as it says itself: it may have been given another one than is configured here. */
export function sourceFindings({
  id,
  machine,
  context,
}: Pick<PlacedActor, 'id' | 'machine' | 'context'>): Finding[] {
  if (machine !== 'producer' || id.includes('@')) return []
  const { success, data: source } = sourceSchema.safeParse(context['source'])
  if (!success) return []
  return source.members === undefined
    ? [sourceFinding('source', source)]
    : source.members.map((each) => sourceFinding(`source ${each.name}`, each))
}

function sourceFinding(
  check: string,
  { way, markets, failure, without }: z.output<typeof oneSourceSchema>,
): Finding {
  const has = `the running platform has ${markets} ${markets === 1 ? 'market' : 'markets'}`
  if (way === 'none')
    return warn(
      check,
      `${has}, and no way delivers${failure === null ? '' : `: ${failure}`}`,
      'Its alerts and tapeline actors say why.',
    )
  const detail = `${has}, by ${way}`
  if (without.length === 0) return ok(check, detail)
  const remedy = 'Correct source.markets; tapeline instruments lists what there is.'
  return warn(check, `${detail}, and no data of ${without.join(', ')}`, remedy)
}

/** Topics that look like the platform's and belong to no stream: it leaves them to a person. */
async function unknownTopics(client: ApiClient, signal: AbortSignal): Promise<Finding[]> {
  const { topics } = await client.call('/v1/topics?unknown=true', topicsSchema, signal, { timeoutMs })
  if (topics.length === 0) return []
  const named = topics.slice(0, 3).map(({ name }) => name)
  const detail = `${topics.length} belong to no stream: ${named.join(', ')}`
  const remedy =
    "Where they are nobody else's, remove them: tapeline streams topics --unknown, then --remove NAME."
  return [warn('unknown topics', detail, remedy)]
}
