import { element } from './element.ts'

interface SignIn {
  /** Whether a key was sent that is not valid. */
  readonly wasWrong: boolean
  readonly onKey: (key: string) => void
}

/** Asks for a key. It is kept until the tab is closed, and sent with each request. */
export function signIn({ wasWrong, onKey }: SignIn): HTMLElement {
  const input = element('input', {
    type: 'password',
    id: 'key',
    name: 'key',
    autocomplete: 'current-password',
    required: true,
    spellcheck: 'false',
  })
  const form = element(
    'form',
    {
      class: 'card sign-in',
      on: {
        submit: (event) => {
          event.preventDefault()
          const key = input.value.trim()
          if (key !== '') onKey(key)
        },
      },
    },
    element('h1', {}, 'Sign in'),
    element(
      'p',
      { class: 'soft' },
      'This platform has API keys. Yours stays in this tab until you close it.',
    ),
    element('label', { for: 'key' }, 'API key'),
    input,
    wasWrong && element('p', { class: 'bad', role: 'alert' }, 'This key is not valid.'),
    element('button', { class: 'primary' }, 'Sign in'),
  )
  queueMicrotask(() => input.focus())
  return form
}
