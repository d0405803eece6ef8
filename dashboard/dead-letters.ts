import { ask, repeat, wordsOf } from './api.ts'
import { announce, confirmed } from './dialog.ts'
import { element, fill } from './element.ts'
import { count, moment } from './format.ts'
import { createTable } from './table.ts'

interface DeadLetter {
  readonly id: string
  readonly code: string
  readonly reason: string
  readonly refusedAt: string
  readonly size: number
}

interface Replayed {
  readonly results: readonly { readonly outcome: string }[]
  readonly next: number | null
}

/** Records that could not be stored: what each is, and a way to publish them again. */
export function openDeadLetters(signal: AbortSignal): HTMLElement {
  const table = createTable(['Refused', 'Record', 'Code', 'Why', 'Bytes', ''], 'No record was refused.', {
    narrow: 'stack',
  })
  const about = element('p', { class: 'soft' })
  const all = element('button', { hidden: true, on: { click: () => void replayAll() } }, 'Replay all …')
  let letters: readonly DeadLetter[] = []

  async function look(): Promise<void> {
    try {
      const found = await ask<{ deadLetters: readonly DeadLetter[]; total: number }>(
        '/v1/dead-letters?limit=50',
        { signal },
      )
      letters = found.deadLetters
      table.element.hidden = false
      all.hidden = letters.length < 2
      fill(about, found.total > letters.length && `${count(found.total)} in all; these are the newest.`)
      table.show(letters.map(row))
    } catch (error) {
      fill(about, `Dead letters are not shown: ${wordsOf(error)}.`)
      table.element.hidden = true
    }
  }

  function row({ id, code, reason, refusedAt, size }: DeadLetter) {
    const replay = element(
      'button',
      { class: 'small', on: { click: () => void send({ ids: [id] }) } },
      'Replay',
    )
    const link = element('a', { href: `/docs/errors#${code}` }, code)
    return [moment(refusedAt), element('code', {}, id), link, reason, count(size), replay]
  }

  async function replayAll(): Promise<void> {
    const text =
      'Each is published again, and stored if it is acceptable now. What is stored already is left out.'
    if (await confirmed({ title: 'Replay all dead letters?', text, verb: 'Replay' }))
      await send({ all: true })
  }

  async function send(body: object): Promise<void> {
    try {
      const { results } = await ask<Replayed>('/v1/dead-letters/replay', { method: 'POST', body })
      const done = results.filter(({ outcome }) => outcome === 'replayed').length
      announce(`${done} of ${results.length} were published again`, done === results.length ? 'good' : 'bad')
      await look()
    } catch (error) {
      announce(`Nothing was published again: ${wordsOf(error)}`, 'bad')
    }
  }

  repeat(5_000, signal, look)
  return element('div', { class: 'stack' }, about, table.element, element('div', { class: 'row' }, all))
}
