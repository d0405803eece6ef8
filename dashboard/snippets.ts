import { hasKey } from './api.ts'
import { announce } from './dialog.ts'
import { element, fill } from './element.ts'

/** A request for a stream as the API takes it. */
export interface Request {
  readonly channel: string
  readonly symbols: readonly string[]
  readonly [field: string]: unknown
}

/** What a program writes to have a stream, in each language. Source: docs/api.md, docs/clients.md. */
const LANGUAGES = {
  curl: (request: Request): string => {
    const key = hasKey() ? ' \\\n  -H "authorization: Bearer $TAPELINE_KEY"' : ''
    const body = JSON.stringify(request).replaceAll("'", "'\\''")
    return `curl -s ${location.origin}/v1/streams -H 'content-type: application/json'${key} \\\n  -d '${body}'`
  },
  TypeScript: (request: Request): string => {
    const key = hasKey() ? ', key: process.env.TAPELINE_KEY' : ''
    return `import { createClient } from 'tapeline/client'

const client = createClient({ url: '${location.origin}'${key} })
for await (const event of client.stream(${JSON.stringify(request, null, 2)}))
  console.log(event)`
  },
  Python: (request: Request): string => {
    const key = hasKey() ? ", key=os.environ['TAPELINE_KEY']" : ''
    return `import asyncio${hasKey() ? ', os' : ''}
from tapeline import Client

async def main():
    client = Client('${location.origin}'${key})
    async for event in client.stream(${python(request)}):
        print(event)

asyncio.run(main())`
  },
} as const
type Language = keyof typeof LANGUAGES

/** A value of JSON as Python writes it. */
function python(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([name, each]) => `${python(name)}: ${python(each)}`)
      .join(', ')}}`
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return JSON.stringify(value ?? null).replace(/^null$/, 'None')
}

/** The program for a request, in a language to choose, with a button that copies it. */
export function createSnippets(): { readonly element: HTMLElement; show(request: Request): void } {
  let language: Language = 'curl'
  let latest: Request | undefined
  const code = element('code')
  const names = Object.keys(LANGUAGES) as Language[]
  const buttons = names.map((name) =>
    element('button', { type: 'button', on: { click: () => choose(name) } }, name),
  )
  const copy = element(
    'button',
    { type: 'button', class: 'small', on: { click: () => void copyText() } },
    'Copy',
  )

  function choose(name: Language): void {
    language = name
    show()
  }

  function show(): void {
    for (const [i, button] of buttons.entries())
      button.setAttribute('aria-pressed', String(names[i] === language))
    fill(code, latest === undefined ? '' : LANGUAGES[language](latest))
  }

  async function copyText(): Promise<void> {
    try {
      await navigator.clipboard.writeText(code.textContent)
      announce('Copied')
    } catch {
      // Browsers forbid it on addresses without TLS that are not this machine.
      getSelection()?.selectAllChildren(code)
      announce('It is selected: copy it with your keyboard', 'bad')
    }
  }

  show()
  const pre = element('pre', { tabindex: '0', role: 'region', 'aria-label': 'Program' }, code)
  const tabs = element('div', { class: 'tabs', role: 'group', 'aria-label': 'Language' }, ...buttons)
  return {
    element: element('div', { class: 'snippets' }, element('div', { class: 'row apart' }, tabs, copy), pre),
    show(request) {
      latest = request
      show()
    },
  }
}
