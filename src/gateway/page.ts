import { createHash } from 'node:crypto'
import { escapeHtml } from './escape-html.ts'
import { PAGE_SCRIPT } from './page-script.ts'

const STYLE = `
  :root { color-scheme: light dark; --line: light-dark(#d9dde3, #2c3440); --soft: light-dark(#5b6572, #94a1b2);
    --card: light-dark(#fff, #171c24); --good: light-dark(#12805c, #3ecf8e); --bad: light-dark(#c0362c, #ff7a6b);
    --accent: light-dark(#2158d6, #7aa2ff) }
  * { box-sizing: border-box }
  body { margin: 0; font: 14px/1.45 system-ui, sans-serif; background: light-dark(#f4f6f9, #0f131a) }
  header { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: baseline; padding: 1rem 1.4rem;
    background: var(--card); border-bottom: 1px solid var(--line) }
  h1 { font-size: 1.25rem; margin: 0 } h1 small { font-weight: 400; font-size: .8rem; color: var(--soft) }
  h2 { font-size: .95rem; margin: 0 0 .6rem } h2 span { font-weight: 400; color: var(--soft) }
  a { color: var(--accent) } nav { display: flex; flex-wrap: wrap; gap: .9rem; margin-left: auto }
  main { display: grid; gap: 1rem; padding: 1rem 1.4rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)) }
  section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1rem; overflow-x: auto }
  section.wide { grid-column: 1 / -1 }
  table { border-collapse: collapse; width: 100% }
  th { text-align: left; font-weight: 500; color: var(--soft) }
  th, td { padding: .22rem .9rem .22rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top }
  tr:last-child td { border-bottom: 0 }
  td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
  code { font: 12.5px ui-monospace, monospace }
  .good { color: var(--good) } .bad { color: var(--bad) } .soft { color: var(--soft) }
  .badge { border: 1px solid currentcolor; border-radius: 1rem; padding: .05rem .6rem; font-size: .8rem }
  form { display: flex; gap: .5rem } input { font: inherit; padding: .2rem .5rem }
  [hidden] { display: none !important }
`

/** The first page: what runs, its state and rates. It loads nothing from elsewhere, and refreshes itself from the API. */
export interface Page {
  readonly html: string
  /** The policy under which a browser may run the page: its own style and script, and requests to this server. */
  readonly contentSecurityPolicy: string
}

/** Makes the page. All that it shows of the platform is fetched by its script and put in as text, never as HTML. */
export function createPage({ version }: { readonly version: string }): Page {
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tapeline</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header>
  <h1>Tapeline <small>${escapeHtml(version)}</small></h1>
  <span id="ready" class="badge soft">asking</span>
  <span id="note" class="bad"></span>
  <form id="sign-in" hidden><input id="key" type="password" placeholder="API key" autocomplete="off"><button>Show</button></form>
  <nav>
    <a href="/docs">API</a><a href="/docs/errors">Errors</a><a href="/metrics">Metrics</a>
    <a href="/v1/actors">Actors</a><a href="/v1/streams">Streams</a><a href="/v1/topics?all=true">Topics</a>
  </nav>
</header>
<main>
  <section class="wide" id="alerts-section" hidden><h2>Alerts</h2><table id="alerts"></table></section>
  <section class="wide"><h2>Actors <span>the state machines of this process</span></h2><table id="actors"></table></section>
  <section><h2>Streams <span>what applications asked for</span></h2><table id="streams"></table></section>
  <section><h2>Topics <span>records, and how many a second</span></h2><table id="topics"></table></section>
</main>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`
  const contentSecurityPolicy = [
    "default-src 'none'",
    `style-src '${hashOf(STYLE)}'`,
    `script-src '${hashOf(PAGE_SCRIPT)}'`,
    "connect-src 'self'",
    'img-src data:',
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return { html, contentSecurityPolicy }
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
