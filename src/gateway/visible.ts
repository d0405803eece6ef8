import type { PlacedActor, PlacedAlert, TransitionNews } from '../ports/actors.ts'
import type { Caller } from './guard.ts'
import type { GatewayOptions } from './options.ts'

/** How the actors of applications are called, and what serves a webhook: by the name of the application, or by `webhook:ID`. */
const ACTOR = 'consumer-dynamic:'
const WEBHOOK = 'webhook:'

/** A dynamic topic ends with a ULID. */
const ULID = '[0-9a-z]{26}'

/** What stands in texts in place of the rest of another application's topic. */
const VEIL = '(another application)'

/** What an application may see of the platform: nothing of the streams and webhooks of others. An admin sees all. */
export interface Visibility {
  actors(caller: Caller, actors: readonly PlacedActor[]): readonly PlacedActor[]
  alerts(caller: Caller, alerts: readonly PlacedAlert[]): readonly PlacedAlert[]
  /** Topics by name: fixed and internal ones, and dynamic ones of its own streams. */
  topics<Topic extends { readonly name: string }>(caller: Caller, topics: readonly Topic[]): readonly Topic[]
  news(caller: Caller, news: TransitionNews): TransitionNews
}

type VisibilityParts = Pick<GatewayOptions, 'dynamicPrefix'> & {
  /** Left out where a process serves no applications: then nothing of theirs is shown. */
  readonly desk?: Pick<GatewayOptions['desk'], 'list'>
  readonly webhooks?: Pick<GatewayOptions['webhooks'], 'ownerOf'>
}

export function createVisibility({ dynamicPrefix, desk, webhooks }: VisibilityParts): Visibility {
  const dynamicTopic = new RegExp(`${dynamicPrefix.replaceAll('.', '\\.')}${ULID}(?![0-9a-z])`, 'g')

  /** Whether an actor or an alert is the platform's, or the application's own. */
  const isFor = ({ app }: Caller, id: string): boolean => {
    const [name = ''] = id.replace(ACTOR, '').split('@', 1)
    if (name.startsWith(WEBHOOK)) return webhooks?.ownerOf(name.slice(WEBHOOK.length)) === app
    return !id.startsWith(ACTOR) || name === app
  }

  const ownTopics = ({ app }: Caller): ReadonlySet<string> => {
    const own = (desk?.list() ?? []).filter((lease) => lease.standing || lease.app === app)
    return new Set(own.flatMap(({ topic, former = [] }) => [topic, ...former.map((each) => each.topic)]))
  }

  /** The same without the names of topics that others have. */
  const veiled = <Value>(caller: Caller, value: Value): Value => {
    const text = JSON.stringify(value)
    const own = text.includes(dynamicPrefix) ? ownTopics(caller) : undefined
    if (own === undefined) return value
    const shown = text.replace(dynamicTopic, (name) => (own.has(name) ? name : `${dynamicPrefix}${VEIL}`))
    return JSON.parse(shown) as Value
  }

  const seen = <Item extends { readonly id: string }>(
    caller: Caller,
    items: readonly Item[],
  ): readonly Item[] => {
    if (caller.admin) return items
    const own = items.filter(({ id }) => isFor(caller, id))
    return veiled(caller, own)
  }

  return {
    actors: seen,
    alerts: seen,
    topics(caller, topics) {
      if (caller.admin) return topics
      const own = ownTopics(caller)
      return topics.filter(({ name }) => !name.startsWith(dynamicPrefix) || own.has(name))
    },
    news(caller, news) {
      if (caller.admin) return news
      return { ...news, transitions: news.transitions.filter(({ actor }) => isFor(caller, actor)) }
    },
  }
}
