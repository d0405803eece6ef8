import { ask, repeat, wordsOf } from '../api.ts'
import { announce, confirmed } from '../dialog.ts'
import { element, fill, setText } from '../element.ts'
import { span, timeOfMicros, words } from '../format.ts'
import { nothingHere } from '../nothing-here.ts'
import { type Actor, isMachine, MACHINES, type MachineName } from '../platform.ts'
import { note, type Visit } from '../router.ts'
import { openStatechart } from '../statechart.ts'
import { type News, type Transition, watchTransitions } from '../transitions.ts'

const SHOWN_STEPS = 40
/** Of a list in hand. */
const MOST_LISTED = 6
const STEPS_EVERY_MS = 500

/** The live statechart of a machine: what each actor of it does, what it did last, and a way to reset it. */
export function machines({ parts, query, signal }: Visit): HTMLElement {
  const given = parts['machine'] ?? 'producer'
  if (!isMachine(given)) return nothingHere('There is no such machine', '/machines', 'Go to the machines')
  const machine: MachineName = given
  let chosen = query.get('actor') ?? undefined
  let actors: readonly Actor[] = []
  let steps: Transition[] = []
  let isWatching = false
  let mayWatch = true
  const counts = new Map<string, Readonly<Record<string, number>>>()

  const chart = element('div', {
    class: 'chart',
    role: 'img',
    'aria-label': `Statechart of ${MACHINES[machine].title}`,
  })
  const live = element('span', { class: 'badge soft' }, 'connecting')
  const chooser = element('select', { id: 'actor', on: { change: () => choose(chooser.value) } })
  const chooserLabel = element('label', { for: 'actor', class: 'row', hidden: true }, 'Actor', chooser)
  const facts = element('dl', { class: 'facts' })
  const failure = element('div', { class: 'failure', hidden: true, role: 'status' })
  const hand = element('dl', { class: 'facts small' })
  const last = element('tbody')
  const reset = element(
    'button',
    { class: 'danger', disabled: true, on: { click: () => void resetActor() } },
    'Reset …',
  )
  const statechart = openStatechart(machine, chart, signal)

  const current = (): Actor | undefined => actors.find(({ id }) => id === chosen) ?? actors[0]

  function choose(id: string): void {
    chosen = id
    note(`/machines/${machine}?actor=${encodeURIComponent(id)}`)
    showActors()
    showSteps()
  }

  function showActors(): void {
    const actor = current()
    chooserLabel.hidden = actors.length < 2
    if (
      chooser.options.length !== actors.length ||
      actors.some(({ id }, i) => chooser.options[i]?.value !== id)
    )
      fill(chooser, ...actors.map(({ id }) => element('option', { value: id }, id)))
    if (actor !== undefined) chooser.value = actor.id
    reset.disabled = actor === undefined || !mayWatch
    reset.title = mayWatch ? '' : 'It needs an admin key'
    statechart.light(actor?.state)
    showFacts(actor)
  }

  function showFacts(actor: Actor | undefined): void {
    if (actor === undefined) {
      const why = machine === 'consumerDynamic' ? ' It has one for each application that is connected.' : ''
      fill(facts, element('dt', {}, 'No actor of this machine runs now.'), element('dd', {}, why))
      return
    }
    const { state, since, restarts, errorInfo, context, instance } = actor
    const rows = [
      ['State', words(state)],
      ['For', span(Date.now() - Date.parse(since))],
      ['Restarts', String(restarts)],
      ['Process', instance],
    ] as const
    fill(facts, ...rows.flatMap(([name, text]) => [element('dt', {}, name), element('dd', {}, text)]))
    failure.hidden = errorInfo === null
    if (errorInfo !== null) {
      const { code, message, step, attempt } = errorInfo
      fill(
        failure,
        element('a', { href: `/docs/errors#${code}` }, code),
        element('p', {}, message),
        element(
          'p',
          { class: 'soft' },
          `In ${words(step)}, attempt ${attempt}, for ${span(Date.now() - errorInfo.since)}. It is tried again by itself.`,
        ),
      )
    }
    fill(
      hand,
      ...Object.entries(context).flatMap(([name, value]) => [
        element('dt', {}, words(name)),
        element('dd', {}, ...linesOf(value).map((line) => element('span', { class: 'line' }, line))),
      ]),
    )
  }

  /** The steps of the actor that is shown, the newest first. */
  function showSteps(): void {
    const id = current()?.id
    const own = steps.filter(({ actor }) => actor === id).slice(-SHOWN_STEPS)
    const rows = own
      .reverse()
      .map(({ ts, from, event, to }) =>
        element(
          'tr',
          {},
          element('td', {}, timeOfMicros(ts)),
          element('td', {}, words(from)),
          element('td', {}, element('code', {}, event)),
          element('td', {}, words(to)),
        ),
      )
    const why = mayWatch ? 'none yet' : 'Steps and counts are shown with an admin key.'
    const nothing = element('tr', {}, element('td', { colspan: 4, class: 'soft' }, why))
    fill(last, ...(rows.length > 0 ? rows : [nothing]))
  }

  function take({ op, instance, transitions, counts: taken }: News): void {
    const own = transitions.filter((step) => step.machine === machine)
    // After a break the first news has steps that were seen before.
    const seen = op === 'snapshot' ? (steps.at(-1)?.ts ?? 0) : 0
    steps = [...steps, ...own.filter(({ ts }) => ts > seen)].slice(-20 * SHOWN_STEPS)
    counts.set(instance, { ...counts.get(instance), ...taken })
    const id = current()?.id
    const mine = own.filter(({ actor }) => actor === id)
    statechart.trace(mine)
    const to = mine.at(-1)?.to
    if (to !== undefined && op === 'transitions') {
      actors = actors.map((actor) =>
        actor.id === id ? { ...actor, state: to, since: new Date().toISOString() } : actor,
      )
      statechart.light(to)
    }
    statechart.count([...counts.values()])
  }

  /** Who may not watch may not reset either. */
  function refuse(): void {
    mayWatch = false
    showActors()
  }

  function showLive(isLive: boolean): void {
    if (isLive) mayWatch = true
    setText(live, isLive ? 'live' : 'asked every second')
    live.className = `badge ${isLive ? 'good' : 'soft'}`
  }

  async function resetActor(): Promise<void> {
    const actor = current()
    if (actor === undefined) return
    const text =
      'It goes back to its first state, keeps what it has in hand and does that work again. Nothing is lost.'
    if (!(await confirmed({ title: `Reset ${actor.id}?`, text, verb: 'Reset' }))) return
    try {
      await ask(`/v1/actors/${encodeURIComponent(actor.id)}/reset`, { method: 'POST' })
      announce(`RESET was sent to ${actor.id}`)
    } catch (error) {
      announce(`${actor.id} was not reset: ${wordsOf(error)}`, 'bad')
    }
  }

  repeat(1_000, signal, async () => {
    const found = await ask<{ actors: readonly Actor[] }>('/v1/actors', { signal })
    actors = found.actors.filter((actor) => actor.machine === machine)
    showActors()
    // Without a key that is good the browser would note a connection that was refused.
    if (isWatching) return
    isWatching = true
    watchTransitions({ onNews: take, onLive: showLive, onRefused: refuse }, signal)
  })
  repeat(STEPS_EVERY_MS, signal, async () => showSteps())
  const tabs = Object.entries(MACHINES).map(([name, { title }]) =>
    element('a', { href: `/machines/${name}`, 'aria-current': name === machine && 'page' }, title),
  )
  return element(
    'section',
    { class: 'machines' },
    element('h1', { class: 'unseen' }, `Machines: ${MACHINES[machine].title}`),
    element('div', { class: 'tabs' }, ...tabs),
    element('p', { class: 'lead' }, `${MACHINES[machine].title}: ${MACHINES[machine].does}.`, ' ', live),
    element(
      'div',
      {
        class: 'card chart-card',
        tabindex: '0',
        role: 'region',
        'aria-label': 'Statechart, can be scrolled',
      },
      chart,
    ),
    element(
      'div',
      { class: 'below' },
      element(
        'div',
        { class: 'stack' },
        element(
          'div',
          { class: 'card' },
          chooserLabel,
          facts,
          failure,
          element('div', { class: 'row' }, reset),
        ),
        element('div', { class: 'card' }, element('h2', {}, 'In hand'), hand),
      ),
      element(
        'div',
        { class: 'card' },
        element('h2', {}, 'Last steps'),
        element(
          'div',
          { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Last steps' },
          element('table', { class: 'tight' }, heads(), last),
        ),
      ),
    ),
  )
}

function heads(): HTMLElement {
  const names = ['Time', 'From', 'Event', 'To'].map((name) => element('th', { scope: 'col' }, name))
  return element('thead', {}, element('tr', {}, ...names))
}

/** A value of a machine's context in words: of a list of things each has a line of its own, and what is empty in them is left out. */
function linesOf(value: unknown): readonly string[] {
  if (!isThing(value)) return [textOf(value)]
  const lists = Object.values(value).filter((each) => Array.isArray(each) && each.some(isThing))
  const own = Object.entries(value).filter(([, each]) => !lists.includes(each))
  return [thingText(own), ...lists.flat().map((each) => thingText(Object.entries(each as object)))]
}

function isThing(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `coinbase: way websocket, markets 9`: the name leads where there is one. */
function thingText(entries: readonly (readonly [string, unknown])[]): string {
  const isEmpty = (value: unknown): boolean => value === null || (Array.isArray(value) && value.length === 0)
  const name = entries.find(([each]) => each === 'name')?.[1]
  const rest = entries.filter(([each, value]) => each !== 'name' && !isEmpty(value))
  const text = rest.map(([each, value]) => `${words(each)} ${textOf(value)}`).join(', ')
  return name === undefined ? text || 'nothing' : `${name}: ${text}`
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (isThing(value)) return thingText(Object.entries(value))
  if (!Array.isArray(value)) return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
  const shown = value.slice(0, MOST_LISTED).map(textOf)
  return shown.length === 0 ? 'none' : `${shown.join(', ')}${value.length > shown.length ? ' …' : ''}`
}
