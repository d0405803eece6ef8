import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../e2e/platform-process.ts'
import { type Cluster, openCluster, startAll } from '../e2e/servers/cluster.ts'
import { allActors } from '../e2e/servers/operations-view.ts'
import { untilAllStored, untilStored } from '../e2e/servers/stored.ts'
import { requireServer } from '../servers/availability.ts'
import { kafkaMissing } from '../servers/kafka.ts'
import { postgresMissing } from '../servers/postgres.ts'
import { type AlertMessages, listenForAlerts } from './alert-messages.ts'
import { type Browser, needsChromium, openBrowser } from './browser.ts'
import { buildPage } from './built.ts'

/** How long each is away; the whole check: 60. */
const OUTAGE_MS = Number(process.env['TAPELINE_OUTAGE'] ?? 8) * 1_000
const ALERT_AFTER_MS = 3_000
const WITHIN_MS = 60_000
const ROLES = { work: 'producer,coordinator,consumer-fixed', gateway: 'gateway' }
type Name = keyof typeof ROLES

/** What is away, and who tells it. */
interface Outage {
  readonly code: string
  /** Of the process `work`. */
  readonly machine: 'producer' | 'consumerFixed'
  /** What the page's picture of the way of the data shows as away. */
  readonly parts: readonly string[]
  /** Whose readiness tells it; a source that is away takes no process out of service. */
  readonly unready: readonly Name[]
  /** Which processes raise an alert of their own. */
  readonly alerting: readonly Name[]
  /** What a metric of a process says of it while it lasts, and before and after. */
  readonly metric: {
    readonly name: string
    readonly labels: string
    readonly away: number
    readonly well: number
  }
  /** Whether every trade of the time is stored afterwards; what a source does not send is a gap. */
  readonly isKept: boolean
  readonly begin: () => void
  readonly end: () => void
}

const skip = needsChromium.skip || requireServer(kafkaMissing() ?? postgresMissing()).skip
describe(`each server is away for ${OUTAGE_MS / 1_000} s`, { skip }, () => {
  let cluster: Cluster
  let receivers: Readonly<Record<Name, AlertMessages>>
  let browser: Browser
  let url: string
  /** Event time in microseconds: from then on nothing but outages disturbs anything. */
  let settled = 0

  before(async () => {
    await buildPage()
    receivers = { work: await listenForAlerts(), gateway: await listenForAlerts() }
    cluster = await openCluster({
      ...{ seed: 1, rate: 100, roles: ROLES },
      environment: {
        TAPELINE_ALERTS_AFTER: `${ALERT_AFTER_MS / 1_000}s`,
        TAPELINE_SOURCE_STALE_AFTER: '2s',
        TAPELINE_SOURCE_FALLBACK_AFTER: '2s',
      },
      environmentOf: (name) => ({ TAPELINE_ALERTS_WEBHOOK: receivers[name as Name].url }),
    })
    await startAll(cluster)
    await untilStored(cluster)
    settled = Date.now() * 1_000
    url = cluster.api('gateway')
    browser = await openBrowser(url)
  })
  after(async () => {
    await browser?.close()
    await cluster?.close()
    for (const receiver of Object.values(receivers ?? {})) receiver.close()
  })

  const nameOfWork = async (machine: Outage['machine']) =>
    (await allActors(cluster, 'gateway')).find((actor) => actor.machine === machine)?.id ?? ''

  const ownAlerts = async (name: Name) => {
    const { alerts } = await cluster
      .process(name)
      .get<{ alerts: { id: string; code: string }[] }>('/v1/alerts')
    return alerts.filter(({ id }) => !id.includes('@'))
  }

  const isReady = async (name: Name): Promise<boolean> =>
    (await fetch(`${await cluster.process(name).api()}/readyz`)).ok

  /** Waits until API, metrics and receivers of each process concerned tell of the outage, or that it is over. */
  const untilTold = async (
    { code, machine, unready, alerting, metric }: Outage,
    isAway: boolean,
  ): Promise<void> => {
    const holds = (what: string, look: () => Promise<boolean> | boolean): Promise<void> =>
      until(
        `${isAway ? 'during' : 'after'} ${code}: ${what}`,
        async () => (await look()) === isAway,
        WITHIN_MS,
      )
    await holds(`${machine} is in error`, async () =>
      (await allActors(cluster, 'work')).some(
        (actor) => actor.machine === machine && actor.state === 'error' && actor.errorInfo?.code === code,
      ),
    )
    for (const name of unready) await holds(`${name} is not ready`, async () => !(await isReady(name)))
    for (const name of alerting) {
      await holds(`/v1/alerts of ${name}`, async () =>
        (await ownAlerts(name)).some((alert) => alert.code === code),
      )
      await until(`tapeline_alerts of ${name} counts them`, async () => {
        const counted = await cluster.process(name).metric('alerts ')
        return counted === (await ownAlerts(name)).length
      })
      await holds(`the receiver of ${name}`, () =>
        receivers[name].lasting().some((each) => each.code === code),
      )
    }
    const [wanted, labels] = [isAway ? metric.away : metric.well, metric.labels]
    await until(`${metric.name}${labels} is ${wanted}`, async () => {
      const found = await Promise.all(
        (metric.name === 'server_up' ? unready : (['work'] as const)).map((name) =>
          cluster.process(name).metric(metric.name, labels),
        ),
      )
      return found.every((value) => value === wanted)
    })
    await holds(
      'the metric of machines',
      async () => (await cluster.process('work').metric('actors{', `machine="${machine}",state="error"`)) > 0,
    )
  }

  /** Waits until the page tells of the outage, or that it is over: in its head, the overview, the list of alerts and the machine. */
  const untilShown = async ({ code, unready, machine, parts }: Outage, isAway: boolean): Promise<void> => {
    const { page } = browser
    const state = isAway ? 'visible' : 'hidden'
    const look = unready.includes('gateway') && isAway ? '.bad' : '.good'
    await page.goto(url)
    await page.locator(`#ready${look}`).waitFor()
    await page.locator('.alerts .alert', { hasText: code }).first().waitFor({ state })
    for (const each of parts)
      await page.locator(`[data-part="${each}"]${isAway ? '.bad' : ':not(.bad)'}`).waitFor()
    await page.locator(`[data-part="${machine}"].good`).waitFor({ state: isAway ? 'detached' : 'attached' })
    await page.getByRole('link', { name: 'Health' }).first().click()
    await page.getByRole('heading', { name: 'Health' }).waitFor()
    await page.locator('#alerts td a', { hasText: code }).first().waitFor({ state })
    // A gap is an alert for ten minutes more.
    if (isAway) await page.locator('nav [data-path="/health"] .count').waitFor()
  }

  const tell = (title: string, outageOf: () => Outage, during?: (outage: Outage) => Promise<void>) =>
    test(title, async (t: TestContext) => {
      const outage = outageOf()
      await untilTold(outage, false)
      const since = performance.now()
      const elapsed = () => `${((performance.now() - since) / 1_000).toFixed(1)} s`
      outage.begin()
      try {
        await Promise.all([untilTold(outage, true), untilShown(outage, true)])
        t.diagnostic(`told everywhere within ${elapsed()}`)
        await during?.(outage)
        await delay(Math.max(0, OUTAGE_MS - (performance.now() - since)))
        // It stays told for as long as it lasts.
        await Promise.all([untilTold(outage, true), untilShown(outage, true)])
      } finally {
        outage.end()
      }
      const back = performance.now()
      await Promise.all([untilTold(outage, false), untilShown(outage, false)])
      t.diagnostic(`its end was told everywhere within ${((performance.now() - back) / 1_000).toFixed(1)} s`)
      if (outage.isKept) await untilAllStored(cluster, settled, WITHIN_MS + OUTAGE_MS)
      for (const name of outage.alerting)
        assert.ok(
          receivers[name].messages.some((text) => text.includes('is over') && text.includes(outage.code)),
        )
    })

  tell(
    'the database is: all tell it, and a reset from the page brings the consumer back with its batch',
    () => ({
      ...{
        code: 'STORE_UNAVAILABLE',
        machine: 'consumerFixed',
        parts: ['database', 'consumerFixed'],
        unready: ['work', 'gateway'],
        isKept: true,
      },
      alerting: ['work', 'gateway'],
      metric: { name: 'server_up', labels: 'server="database"', away: 0, well: 1 },
      begin: () => cluster.postgres.pause(),
      end: () => cluster.postgres.resume(),
    }),
    async () => {
      const { page } = browser
      const id = await nameOfWork('consumerFixed')
      await page.goto(`${url}/machines/consumerFixed?actor=${encodeURIComponent(id)}`)
      await page.locator('[id="consumerFixed.error"].live').waitFor()
      await page.locator('.failure', { hasText: 'STORE_UNAVAILABLE' }).waitFor()
      await page.getByRole('button', { name: 'Reset …' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Reset' }).click()
      await page.getByText(`RESET was sent to ${id}`).waitFor()
      // It may be about to try again at that moment: no other machine is reset, from whichever state.
      await until(
        'the machine was reset',
        async () => (await cluster.process('work').metric('transitions_total', 'event="RESET"')) === 1,
      )
    },
  )

  tell('the broker is: all tell it', () => ({
    ...{
      code: 'BROKER_UNAVAILABLE',
      machine: 'producer',
      parts: ['fixed', 'dynamic'],
      unready: ['work', 'gateway'],
      isKept: true,
    },
    alerting: ['work', 'gateway'],
    metric: { name: 'server_up', labels: 'server="broker"', away: 0, well: 1 },
    begin: () => cluster.kafka.pause(),
    end: () => cluster.kafka.resume(),
  }))

  tell('the source is: all tell it', () => ({
    ...{
      code: 'SOURCE_UNAVAILABLE',
      machine: 'producer',
      parts: ['source', 'producer'],
      unready: [],
      alerting: ['work'],
      isKept: false,
    },
    metric: { name: 'source_way', labels: 'way="none"', away: 1, well: 0 },
    begin: () => cluster.simulator.pause(),
    end: () => cluster.simulator.resume(),
  }))

  test('after all that no trade is stored twice, and the page had no other trouble', async () => {
    const [row] = await cluster.sql<{ repeated: string }>(
      'select count(*) as repeated from (select from trades group by exchange, symbol, id having count(*) > 1) as twice',
    )
    assert.equal(Number(row?.repeated), 0)
    assert.deepEqual(
      browser.faults.filter((fault) => !/status of 503|status of 504/.test(fault)),
      [],
    )
  })
})
