import { element } from './element.ts'

interface Question {
  readonly title: string
  readonly text: string
  /** What the button says that does it. */
  readonly verb: string
}

/** Asks before something is done that cannot be undone; gives whether to do it. */
export function confirmed({ title, text, verb }: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const yes = element('button', { class: 'danger', value: 'yes' }, verb)
    const dialog = element(
      'dialog',
      { 'aria-labelledby': 'question' },
      element(
        'form',
        { method: 'dialog' },
        element('h2', { id: 'question' }, title),
        element('p', {}, text),
        element('div', { class: 'row end' }, element('button', { value: 'no' }, 'Cancel'), yes),
      ),
    )
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes')
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}

/** Says in a corner what was done, or why not, for a while. */
export function announce(text: string, kind: 'good' | 'bad' = 'good'): void {
  const note = element('p', { class: `toast ${kind}`, role: kind === 'bad' ? 'alert' : 'status' }, text)
  document.body.append(note)
  setTimeout(() => note.remove(), kind === 'bad' ? 8_000 : 4_000)
}
