import { watchRequests } from './api.ts'
import { element, setText } from './element.ts'

type Look = 'good' | 'bad' | 'soft'

interface LiveBadge {
  readonly element: HTMLElement
  show(text: string, look: Look): void
}

/** Says how a view's stream fares. While the platform does not answer nothing is live, whatever the stream said last. */
export function createLiveBadge(signal: AbortSignal): LiveBadge {
  const badge = element('span', { class: 'badge soft' }, 'connecting')
  let said: readonly [string, Look] = ['connecting', 'soft']
  let isAway = false

  const draw = (text: string, look: Look): void => {
    setText(badge, text)
    badge.className = `badge ${look}`
  }
  const show = (text: string, look: Look): void => {
    said = [text, look]
    if (!isAway) draw(text, look)
  }
  watchRequests((outcome) => {
    const was = isAway
    isAway = outcome === 'away'
    if (isAway && !was) draw('no answer', 'bad')
    if (was && !isAway) show(...(said[1] === 'good' ? (['connecting', 'soft'] as const) : said))
  }, signal)
  return { element: badge, show }
}
