import { ask, wordsOf } from './api.ts'
import { element, fill, setText } from './element.ts'
import { createEventTable } from './event-table.ts'
import { count } from './format.ts'
import { createSnippets, type Request } from './snippets.ts'

const CHECK_AFTER_MS = 250

interface Fault {
  readonly field: string
  readonly message: string
}

type Preview =
  | {
      readonly acceptable: true
      readonly looked: number
      readonly matching: number
      readonly events: readonly Readonly<Record<string, unknown>>[]
      readonly warnings?: readonly {
        readonly value: string
        readonly message: string
        readonly near: readonly string[]
      }[]
    }
  | { readonly acceptable: false; readonly errors: readonly Fault[] }

interface Form {
  readonly element: HTMLElement
  /** What was filled in, as the API takes it. */
  request(): Request
}

interface FormOptions {
  readonly first: Readonly<Record<string, unknown>>
  readonly verb: string
  readonly onSubmit: (request: Request) => Promise<void>
  readonly signal: AbortSignal
}

interface Field {
  readonly label: string
  readonly hint: string
  readonly choices?: readonly string[]
  readonly isList?: true
  readonly isNumber?: true
  readonly isWide?: true
  /** Of which channels it is a setting; of all where it is left out. */
  readonly channels?: readonly string[]
}

/** The fields with what may stand in them, in their order. */
const FIELDS = {
  channel: {
    label: 'Channel',
    hint: 'what kind of events',
    choices: ['trade', 'quote', 'candle', 'book', 'status'],
  },
  symbols: { label: 'Symbols', hint: 'BTC-USD ETH-*; * for all', isList: true },
  exchanges: { label: 'Exchanges', hint: 'empty for all', isList: true },
  where: { label: 'Where', hint: 'size >= 0.5 && side == "buy"', isWide: true },
  interval: {
    label: 'Candles of',
    hint: 'made of trades',
    choices: ['', '1s', '5s', '15s', '1m', '5m', '15m', '1h', '1d'],
    channels: ['trade', 'candle'],
  },
  depth: { label: 'Best levels', hint: '10; with Latest every', isNumber: true, channels: ['book'] },
  every: {
    label: 'Latest every',
    hint: '250ms, 1s; empty for all',
    channels: ['trade', 'quote', 'candle', 'book'],
  },
  from: { label: 'From', hint: 'live, -10m, earliest' },
  ttl: { label: 'Lives without a reader', hint: '1h; 0 until deleted' },
} as const satisfies Readonly<Record<string, Field>>
type FieldName = keyof typeof FIELDS
const fieldOf = (name: FieldName): Field => FIELDS[name]
type Control = HTMLInputElement | HTMLSelectElement

/** A form for a stream: it checks what is typed as you type, and shows which of the latest events match. */
export function createStreamForm({ first, verb, onSubmit, signal }: FormOptions): Form {
  const names = Object.keys(FIELDS) as FieldName[]
  const faults = new Map(names.map((name) => [name, element('small', { class: 'bad', id: `fault-${name}` })]))
  const controls = new Map(names.map((name) => [name, control(name, textOf(first[name]))]))
  const verdict = element('p', { role: 'status', class: 'verdict' }, 'checking')
  const warnings = element('ul', { class: 'warnings', hidden: true })
  controls.get('channel')?.addEventListener('input', changeChannel)
  const samples = createEventTable('No event of the latest ones matches.')
  const snippets = createSnippets()
  const button = element('button', { class: 'primary' }, verb)
  let timer: ReturnType<typeof setTimeout> | undefined
  let asked = new AbortController()

  const rows = new Map(
    names.map((name) => [
      name,
      element(
        'div',
        { class: fieldOf(name).isWide ? 'field wide' : 'field' },
        element('label', { for: `field-${name}` }, fieldOf(name).label),
        controls.get(name),
        faults.get(name),
      ),
    ]),
  )

  function request(): Request {
    const given = names.filter(isOfChannel).flatMap((name): [string, unknown][] => {
      const text = controls.get(name)?.value.trim() ?? ''
      if (text === '') return []
      const { isList, isNumber } = fieldOf(name)
      if (isList) return [[name, text.split(/[\s,]+/)]]
      // What is no number is shown as it was typed, with what the platform says of it.
      return [[name, isNumber && /^\d+$/.test(text) ? Number(text) : text]]
    })
    return { channel: 'trade', symbols: [], ...Object.fromEntries(given) }
  }

  /** Whether a field says something of the channel that is chosen. */
  function isOfChannel(name: FieldName): boolean {
    return fieldOf(name).channels?.includes(controls.get('channel')?.value ?? '') ?? true
  }

  /** An expression of the example says nothing of another channel, whose events have other fields. */
  function changeChannel(): void {
    const where = controls.get('where')
    if (where !== undefined && where.value === textOf(first['where'])) where.value = ''
  }

  function checkSoon(): void {
    for (const [name, row] of rows) row.hidden = !isOfChannel(name)
    clearTimeout(timer)
    timer = setTimeout(() => void check(), CHECK_AFTER_MS)
    snippets.show(request())
  }

  async function check(): Promise<void> {
    asked.abort()
    asked = new AbortController()
    const mine = asked.signal
    try {
      const body = request()
      const found = await ask<Preview>('/v1/streams/preview', {
        ...{ method: 'POST', body },
        signal: AbortSignal.any([mine, signal]),
      })
      showFaults(found.acceptable ? [] : found.errors)
      if (!found.acceptable) {
        verdict.className = 'verdict bad'
        setText(verdict, 'This cannot be asked for yet.')
        return
      }
      verdict.className = 'verdict good'
      setText(
        verdict,
        `It takes ${count(found.matching)} of the latest ${count(found.looked)} events of its channel.`,
      )
      samples.show(found.events)
      showWarnings(found.warnings ?? [])
    } catch (error) {
      if (signal.aborted || mine.aborted) return
      // Whether it is acceptable the platform says again when the stream is made.
      button.disabled = false
      verdict.className = 'verdict bad'
      setText(verdict, wordsOf(error))
    }
  }

  function showWarnings(found: NonNullable<(Preview & { acceptable: true })['warnings']>): void {
    warnings.hidden = found.length === 0
    const lines = found.map(
      ({ value, message, near }) =>
        `${value}: ${message}${near.length > 0 ? `; near to it: ${near.join(', ')}` : ''}`,
    )
    fill(warnings, ...lines.map((line) => element('li', {}, line)))
  }

  function showFaults(found: readonly Fault[]): void {
    for (const name of names) {
      const fault = found.find(({ field }) => field === name || field.startsWith(`${name}.`))
      setText(faults.get(name) ?? verdict, fault?.message ?? '')
      controls.get(name)?.setAttribute('aria-invalid', String(fault !== undefined))
    }
    button.disabled = found.length > 0
  }

  async function submit(): Promise<void> {
    button.disabled = true
    try {
      await onSubmit(request())
    } catch (error) {
      verdict.className = 'verdict bad'
      setText(verdict, wordsOf(error))
    }
    button.disabled = false
  }

  checkSoon()
  return {
    request,
    element: element(
      'form',
      {
        class: 'stream-form stack',
        on: {
          input: checkSoon,
          submit: (event) => {
            event.preventDefault()
            void submit()
          },
        },
      },
      element(
        'div',
        { class: 'card' },
        element('div', { class: 'fields' }, ...rows.values()),
        verdict,
        warnings,
        element('div', { class: 'row' }, button),
      ),
      element('div', { class: 'card' }, element('h2', {}, 'Latest events that match'), samples.element),
      element('div', { class: 'card' }, element('h2', {}, 'For a program'), snippets.element),
    ),
  }
}

function control(name: FieldName, value: string): Control {
  const { hint, choices } = fieldOf(name)
  const attributes = { id: `field-${name}`, name, 'aria-describedby': `fault-${name}` }
  if (choices !== undefined) {
    const options = choices.map((each) =>
      element('option', { value: each, selected: each === value }, each === '' ? 'no' : each),
    )
    return element('select', { ...attributes, title: hint }, ...options)
  }
  return element('input', {
    ...attributes,
    value,
    placeholder: hint,
    autocomplete: 'off',
    spellcheck: 'false',
  })
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return Array.isArray(value) ? value.join(' ') : String(value)
}
