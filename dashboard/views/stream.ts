import { ApiError } from '../../src/client/http.ts'
import type { StreamInfo } from '../../src/client/index.ts'
import { ask, client, repeat, wordsOf } from '../api.ts'
import { announce, confirmed } from '../dialog.ts'
import { element, fill, setText } from '../element.ts'
import { createEventTable } from '../event-table.ts'
import { count, moment, rate } from '../format.ts'
import { createLiveBadge } from '../live-badge.ts'
import { nothingHere } from '../nothing-here.ts'
import { go, type Visit } from '../router.ts'
import { createSnippets, type Request } from '../snippets.ts'
import { specText } from '../spec.ts'
import { createStreamForm } from '../stream-form.ts'

const SHOWN_EVENTS = 50
const DRAW_EVERY_MS = 250
const RATE_MS = 3_000

/** One stream: what it takes, its events as they come, and ways to change it, end it or read it from a program. */
export function stream({ parts, signal }: Visit): HTMLElement {
  const { id = '' } = parts
  const path = `/v1/streams/${encodeURIComponent(id)}`
  const title = element('h1', {}, 'Stream')
  const live = createLiveBadge(signal)
  const facts = element('dl', { class: 'facts' })
  const flow = element('span', { class: 'soft numbers' })
  const events = createEventTable('Nothing has come yet.')
  const snippets = createSnippets()
  const change = element('div', { hidden: true })
  const modify = element('button', { disabled: true, on: { click: () => void openChange() } }, 'Modify')
  const pause = element('button', { 'aria-pressed': 'false', on: { click: () => hold() } }, 'Pause')
  const remove = element('button', { class: 'danger', on: { click: () => void end() } }, 'Delete …')
  let info: StreamInfo | undefined
  let latest: Readonly<Record<string, unknown>>[] = []
  let isHeld = false
  let came = 0
  let counted: { readonly at: number; readonly came: number }[] = []

  function showInfo(found: StreamInfo): void {
    info = found
    modify.disabled = found.standing
    setText(title, specText(found.spec))
    const rows = [
      ['Id', found.id],
      ['Topic', found.topic],
      ['Application', found.app],
      ['Made', moment(found.createdAt)],
      ['Lives without a reader', found.ttl === 0 ? 'until it is deleted' : `${count(found.ttl)} s`],
      ['Fields', found.spec.fields?.join(', ') ?? 'all'],
    ] as const
    fill(facts, ...rows.flatMap(([name, text]) => [element('dt', {}, name), element('dd', {}, text)]))
    snippets.show(requestOf(found))
  }

  function hold(): void {
    isHeld = !isHeld
    pause.setAttribute('aria-pressed', String(isHeld))
    setText(pause, isHeld ? 'Go on' : 'Pause')
  }

  async function read(found: StreamInfo): Promise<void> {
    const channel = found.spec.interval === undefined ? found.spec.channel : 'candle'
    live.show('waits for events', 'soft')
    for await (const batch of client().resume({ channel, stream: id }, { signal }).batches()) {
      if (batch.type === 'end') return live.show(`over: ${batch.reason}`, 'bad')
      if (batch.type === 'reset') continue
      live.show('live', 'good')
      came += batch.events.length
      latest = [...batch.events.toReversed(), ...latest].slice(0, SHOWN_EVENTS) as Readonly<
        Record<string, unknown>
      >[]
    }
  }

  function draw(): void {
    if (!isHeld && came > 0) events.show(latest)
    const now = performance.now()
    counted = [...counted.filter(({ at }) => now - at < RATE_MS), { at: now, came }]
    const [first] = counted
    const seconds = first === undefined ? 0 : (now - first.at) / 1000
    const perSecond = first === undefined || seconds < 1 ? undefined : (came - first.came) / seconds
    setText(flow, `${count(came)} came, ${rate(perSecond)} a second`)
  }

  async function openChange(): Promise<void> {
    change.hidden = !change.hidden
    if (change.hidden || info === undefined) return fill(change)
    const { ttl, ...first } = requestOf(info)
    const form = createStreamForm({
      first,
      verb: 'Change stream',
      signal,
      async onSubmit(request) {
        // What was emptied is taken away.
        const emptied = Object.keys(first).filter((name) => !(name in request))
        const body = { ...Object.fromEntries(emptied.map((name) => [name, null])), ...request }
        showInfo(await ask<StreamInfo>(path, { method: 'PATCH', body }))
        change.hidden = true
        announce('The stream goes on as you asked')
      },
    })
    fill(change, form.element)
  }

  async function end(): Promise<void> {
    const text =
      'Whoever reads it is told that it is over. Its topic goes with the last stream that shares it.'
    if (!(await confirmed({ title: 'Delete this stream?', text, verb: 'Delete' }))) return
    try {
      await ask(path, { method: 'DELETE' })
      announce('The stream is over')
      go('/streams')
    } catch (error) {
      announce(`It was not deleted: ${wordsOf(error)}`, 'bad')
    }
  }

  async function begin(): Promise<void> {
    const found = await ask<StreamInfo>(path, { signal })
    showInfo(found)
    repeat(DRAW_EVERY_MS, signal, async () => draw())
    await read(found)
  }

  begin().catch((error: unknown) => {
    if (signal.aborted) return
    const isUnknown = error instanceof ApiError && error.code === 'STREAM_UNKNOWN'
    if (!isUnknown || info !== undefined) return live.show(isUnknown ? 'it has ended' : wordsOf(error), 'bad')
    view.replaceWith(nothingHere('There is no such stream', '/streams', 'Go to the streams'))
  })

  const view = element(
    'section',
    { class: 'stack' },
    element(
      'div',
      { class: 'row apart' },
      element('div', { class: 'row' }, title, live.element),
      element('div', { class: 'row' }, pause, modify, remove),
    ),
    change,
    element(
      'div',
      { class: 'card' },
      element('div', { class: 'row apart' }, element('h2', {}, 'Events'), flow),
      events.element,
    ),
    element(
      'div',
      { class: 'pair even' },
      element('div', { class: 'card' }, element('h2', {}, 'What it is'), facts),
      element('div', { class: 'card' }, element('h2', {}, 'For a program'), snippets.element),
    ),
  )
  return view
}

/** A stream as somebody would ask for it again. */
function requestOf({ spec, ttl }: StreamInfo): Request {
  const { exchanges, ...rest } = spec
  return { ...rest, ...(exchanges.length > 0 && { exchanges }), ttl }
}
