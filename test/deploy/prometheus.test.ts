import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { createMeter } from '../../src/telemetry/meter.ts'
import { requireServer } from '../servers/availability.ts'
import { pathOf, readText, readYaml } from './files.ts'

const RULES = 'deploy/prometheus/alerts.yaml'
const DASHBOARD = 'deploy/grafana/tapeline.json'

const rulesSchema = z.strictObject({
  groups: z.tuple([
    z.strictObject({
      name: z.literal('tapeline'),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Tapeline[A-Z]\w+$/),
          expr: z.string(),
          for: z.string().optional(),
          labels: z.strictObject({ severity: z.enum(['page', 'warn']) }),
          annotations: z.strictObject({ summary: z.string(), runbook: z.string() }),
        }),
      ),
    }),
  ]),
})

const dashboardSchema = z.object({
  panels: z.array(
    z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) }),
  ),
})

/** The metrics that a platform has, histograms by their buckets too. */
async function metricNames(): Promise<ReadonlySet<string>> {
  const text = await createMeter().render()
  const names = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name, type]) =>
    type === 'histogram' ? [`${name}_bucket`] : [`${name}`],
  )
  return new Set([...names, 'up'])
}

function namesIn(expression: string): readonly string[] {
  return expression.match(/\b(?:tapeline|process|nodejs)_\w+|\bup\b/g) ?? []
}

describe('what Prometheus and Grafana read', () => {
  test('every rule asks for metrics that there are, and names a page that says what to do', async () => {
    const known = await metricNames()
    const [document] = readYaml(RULES)
    const [{ rules }] = rulesSchema.parse(document).groups
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
    for (const { alert, expr, annotations } of rules) {
      assert.ok(namesIn(expr).length > 0, alert)
      for (const name of namesIn(expr)) assert.ok(known.has(name), `${alert}: there is no ${name}`)
      const [page = '', heading] = annotations.runbook.split('#')
      assert.ok(existsSync(pathOf(page)), `${alert}: there is no ${page}`)
      const headings = readText(page).match(/^#+ .*$/gm) ?? []
      const anchors = headings.map((line) => line.replace(/^#+ /, '').toLowerCase().replaceAll(' ', '-'))
      if (heading !== undefined) assert.ok(anchors.includes(heading), `${alert}: ${page} has no ${heading}`)
    }
  })

  test('every panel of the dashboard asks for metrics that there are', async () => {
    const known = await metricNames()
    const { panels } = dashboardSchema.parse(JSON.parse(readText(DASHBOARD)))
    for (const { title, targets } of panels)
      for (const { expr } of targets)
        for (const name of namesIn(expr)) assert.ok(known.has(name), `${title}: there is no ${name}`)
  })

  const promtool = requireServer(
    process.env['PATH']?.split(':').some((folder) => existsSync(`${folder}/promtool`))
      ? undefined
      : "no promtool: install Debian's package prometheus",
  )
  test('promtool takes the rules and the metrics', promtool, async () => {
    const meter = createMeter()
    meter.count('alerts_total', 1, { code: 'TIMEOUT' })
    meter.observe('broker_publish_seconds', 0.004, { topics: 'fixed' })
    execFileSync('promtool', ['check', 'rules', pathOf(RULES)], { stdio: 'pipe' })
    execFileSync('promtool', ['check', 'metrics'], { input: await meter.render(), stdio: 'pipe' })
  })
})
