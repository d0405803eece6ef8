import { ask, wordsOf } from '../api.ts'
import { element, fill, setText } from '../element.ts'
import { count, decimal } from '../format.ts'
import { drawPlot } from '../plot.ts'
import { note, type Visit } from '../router.ts'
import { createTable } from '../table.ts'

type Row = Readonly<Record<string, unknown>>

interface Answer {
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
}

const MOST_ROWS = 1_000

/** Questions to begin with. */
const EXAMPLES = {
  'Trades a minute': `select time_bucket('1 minute', ts) as minute, count(*) as trades
from trades where ts > now() - interval '1 hour'
group by 1 order by 1`,
  'Price of a market': `select ts, close from candles_1m
where symbol = 'BTC-USD' and exchange = 'coinbase'
order by ts desc limit 120`,
  'Busiest markets': `select exchange, symbol, count(*) as trades, sum(price * size) as turnover
from trades where ts > now() - interval '1 hour'
group by 1, 2 order by trades desc limit 20`,
  Gaps: `select ts, exchange, symbol, from_ts, to_ts, detail
from status where state = 'gap' order by ts desc limit 50`,
  Tables: `select table_name, column_name, data_type from information_schema.columns
where table_schema = 'public' order by table_name, ordinal_position`,
} as const

/** Read-only SQL: a question, its answer as a table and, where it has numbers, as a plot. The question is in the address. */
export function data({ query, signal }: Visit): HTMLElement {
  const sql = element('textarea', { id: 'sql', rows: 6, spellcheck: 'false', on: { keydown: runByKey } })
  sql.value = query.get('sql') ?? EXAMPLES['Trades a minute']
  const button = element('button', { class: 'primary' }, 'Run')
  const verdict = element('p', { role: 'status', class: 'soft' })
  const plot = element('div', { class: 'card', hidden: true })
  const answer = element('div', { class: 'card', hidden: true })

  function runByKey(event: KeyboardEvent): void {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
    event.preventDefault()
    void run()
  }

  async function run(): Promise<void> {
    const text = sql.value.trim()
    if (text === '') return
    note(`/data?${new URLSearchParams({ sql: text })}`)
    button.disabled = true
    verdict.className = 'soft'
    setText(verdict, 'asking …')
    const begun = performance.now()
    try {
      const body = { sql: text, maxRows: MOST_ROWS }
      const { columns, rows } = await ask<Answer>('/v1/sql', { method: 'POST', body, signal })
      setText(
        verdict,
        `${count(rows.length)} ${rows.length === 1 ? 'row' : 'rows'} in ${Math.round(performance.now() - begun)} ms`,
      )
      show(columns, rows)
    } catch (error) {
      if (signal.aborted) return
      verdict.className = 'bad'
      setText(verdict, wordsOf(error))
    }
    button.disabled = false
  }

  function show(columns: readonly string[], rows: readonly Row[]): void {
    const table = createTable(columns, 'No rows.')
    table.show(rows.map((row) => columns.map((name) => textOf(row[name]))))
    answer.hidden = false
    fill(answer, table.element)
    const drawn = drawPlot(columns, rows)
    plot.hidden = drawn === undefined
    fill(plot, drawn)
  }

  const examples = Object.entries(EXAMPLES).map(([name, text]) =>
    element(
      'button',
      {
        type: 'button',
        class: 'small',
        on: {
          click: () => {
            sql.value = text
            void run()
          },
        },
      },
      name,
    ),
  )
  void run()
  return element(
    'section',
    { class: 'stack' },
    element('h1', {}, 'Data'),
    element(
      'form',
      {
        class: 'card stack',
        on: {
          submit: (event) => {
            event.preventDefault()
            void run()
          },
        },
      },
      element('label', { for: 'sql' }, 'One statement; it may read, and nothing else'),
      sql,
      element('div', { class: 'row' }, button, verdict, element('span', { class: 'grow' }), ...examples),
    ),
    plot,
    answer,
  )
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number') return decimal(value)
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
