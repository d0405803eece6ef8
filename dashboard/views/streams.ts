import type { StreamInfo } from '../../src/client/index.ts'
import { ask, repeat } from '../api.ts'
import { announce } from '../dialog.ts'
import { element } from '../element.ts'
import { rate, span } from '../format.ts'
import type { Topic } from '../platform.ts'
import { go, type Visit } from '../router.ts'
import { specText } from '../spec.ts'
import { createStreamForm } from '../stream-form.ts'
import { createTable } from '../table.ts'

/** What the form asks for at first. */
const EXAMPLE = { channel: 'trade', symbols: 'BTC-*', where: 'size >= 0.01' }

/** The streams that applications asked for, and a form for another one. What the form shows at first can be given in the address. */
export function streams({ signal, query }: Visit): HTMLElement {
  const table = createTable(
    ['Stream', 'Takes', 'Application', 'Records a second', 'Last read', 'Warnings'],
    'No stream yet: make one below.',
    { narrow: 'stack' },
  )
  let former: { readonly at: number; readonly ends: ReadonlyMap<string, number> } | undefined

  repeat(2_000, signal, async () => {
    const [{ streams: found }, { topics }] = await Promise.all([
      ask<{ streams: readonly StreamInfo[] }>('/v1/streams', { signal }),
      ask<{ topics: readonly Topic[] }>('/v1/topics', { signal }),
    ])
    const now = { at: performance.now(), ends: new Map(topics.map(({ name, end }) => [name, end])) }
    const before = former
    former = now
    table.show(
      found.map((stream) => {
        const [from, to] = [before?.ends.get(stream.topic), now.ends.get(stream.topic)]
        const known = from !== undefined && to !== undefined && before !== undefined
        const flow = known ? ((to - from) * 1000) / (now.at - before.at) : undefined
        const { lastReadAt, warnings = [] } = stream
        return [
          element('a', { href: `/streams/${encodeURIComponent(stream.id)}` }, shortId(stream.id)),
          specText(stream.spec),
          stream.app,
          rate(flow),
          lastReadAt === null ? 'never' : `${span(Date.now() - Date.parse(lastReadAt))} ago`,
          warnings.map(({ value, message }) => `${value}: ${message}`).join('; '),
        ]
      }),
    )
  })

  const given = Object.fromEntries([...query].map(([name, text]) => [name, text]))
  const form = createStreamForm({
    first: {
      ...EXAMPLE,
      ...(given['channel'] && given['channel'] !== EXAMPLE.channel && { where: '' }),
      ...given,
    },
    verb: 'Create stream',
    signal,
    async onSubmit(body) {
      const { id } = await ask<StreamInfo>('/v1/streams', { method: 'POST', body })
      announce('The stream is there')
      go(`/streams/${encodeURIComponent(id)}`)
    },
  })
  const own = element('h2', { class: 'section-title' }, 'A stream of your own')

  /** Below many streams nobody would find it. */
  function goToForm(): void {
    own.scrollIntoView({ block: 'start' })
    form.element.querySelector('select')?.focus({ preventScroll: true })
  }

  return element(
    'section',
    { class: 'stack' },
    element(
      'div',
      { class: 'row apart' },
      element('h1', {}, 'Streams'),
      element('button', { on: { click: () => goToForm() } }, 'New stream'),
    ),
    element('div', { class: 'card' }, table.element),
    own,
    form.element,
  )
}

/** The end of an id tells streams apart: all begin with the time. */
function shortId(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id
}
