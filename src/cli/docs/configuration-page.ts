import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { SOURCES } from '../../adapters/source/index.ts'
import { configJsonSchema, configSchema, environmentName, settingPaths } from '../../config-schema.ts'

/** The example that a user copies to `tapeline.yaml`; a test loads it. */
const EXAMPLE = new URL('../../../tapeline.example.yaml', import.meta.url)

/** What the page shows of a setting, out of its JSON Schema. */
const settingSchema = z.object({
  description: z.string(),
  type: z.union([z.string(), z.array(z.string())]),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  default: z.unknown().optional(),
  items: z.object({ enum: z.array(z.string()).optional() }).optional(),
  /** Where the parts are known by name. */
  properties: z.record(z.string(), z.unknown()).optional(),
})
type Setting = z.output<typeof settingSchema>

const sectionSchema = z.object({ properties: z.record(z.string(), z.unknown()) })

/** A longer default is told below its table instead of in it. */
const LONGEST_DEFAULT = 60
const NO_DEFAULT = '–'

const INTRODUCTION = `# Configuration

<!-- Generated from src/config-schema.ts by \`npm run docs\`. -->

Nothing has to be configured: \`npm start\` runs without a file. To change something, copy the example:

\`\`\`sh
cp tapeline.example.yaml tapeline.yaml
npm run -s tapeline -- doctor
npm run -s tapeline -- up
\`\`\`

A setting comes from, in this order:

1. a flag of the command, such as \`--port 9000\` ([commands.md](commands.md));
2. an environment variable, such as \`TAPELINE_GATEWAY_PORT=9000\`;
3. the file: \`--config FILE\`, else \`tapeline.yaml\` in the current folder, where it exists;
4. the default.

A setting that does not exist or has a value that is not acceptable ends the command with
[\`CONFIG_INVALID\`](errors.md#config_invalid), which names each of them.

\`tapeline demo\` (\`npm start\`) takes the same settings, but its source is its own simulator, and it has a standing stream
\`all-trades\`. Like \`tapeline replay\` it always runs all roles on the embedded engines: servers in the file are for
\`tapeline up\`.

**Durations** are text such as \`250ms\`, \`30s\`, \`5m\`, \`1h\`, \`7d\`; a bare number counts seconds. **Lists** are lists in the file, and
text with commas, blanks or both in an environment variable. Blanks round a variable do not count; one that is empty counts as not
set. A dash under Default means that nothing is set; the meaning then says what holds.

Editors complete and check the file with [tapeline.schema.json](tapeline.schema.json); the first line of the example says so.`

const SECRETS = `## Secrets

Secrets come from the environment, or from files that a setting names. They are never logged, and no command prints them. A
password in the configuration file or in \`--database\` is refused.

| Environment variable | Meaning |
|---|---|
| \`TAPELINE_BROKER_PASSWORD\` | The password of \`broker.username\`. Or a file: \`broker.passwordFile\`. |
| \`TAPELINE_STORE_PASSWORD\` | The password of the user in \`store.url\`. Or a file: \`store.passwordFile\`. \`TAPELINE_STORE_URL\` may have it too. |
| \`TAPELINE_STORE_QUERY_PASSWORD\` | The password of the user in \`store.queryUrl\`. Or a file: \`store.queryPasswordFile\`. |
| \`TAPELINE_ALERTS_WEBHOOK\` | The address of a webhook that is told of [alerts](alerts.md#every-alert-by-its-id), as Slack has them: it is a secret. Or a file: \`alerts.webhookFile\`. |
| \`OTEL_EXPORTER_OTLP_HEADERS\` | What the collector of [traces](watching.md#traces) asks for, such as a key: \`name=value\`, more of them with commas. |
${sourceKeys()}
| \`TAPELINE_API_KEYS\` | Who may call the API: \`NAME:KEY\`, more of them with commas. A name has lower-case letters, digits and \`-\`; a key has at least 8 characters and no space or comma. The name is the application; \`admin\` may do everything. Without keys the API answers this machine only. See [api.md](api.md#keys-and-who-may-call). |`

function sourceKeys(): string {
  const keys = Object.entries(SOURCES).flatMap(([name, { key }]) => (key ? [{ name, ...key }] : []))
  return keys
    .map(
      ({ name, variable }) =>
        `| \`${variable}\` | The key for the source \`${name}\`. Not needed where \`source.url\` or \`--simulator\` names another server. |`,
    )
    .join('\n')
}

/** `docs/configuration.md`: every setting by section, with its environment variable, values, default and meaning. */
export function configurationPage(): string {
  const sections = Map.groupBy(settingPaths(), (path) => (path.length > 1 ? path[0] : undefined))
  const texts = [...sections].map(([name, paths]) => section(name, paths))
  return `${[INTRODUCTION, ...texts, SECRETS, example()].join('\n\n')}\n`
}

/** `docs/tapeline.schema.json`: the JSON Schema of the file. */
export function configurationSchema(): string {
  return `${JSON.stringify({ title: 'tapeline.yaml', ...configJsonSchema() }, null, 2)}\n`
}

function section(name: string | undefined, paths: readonly (readonly string[])[]): string {
  const notes: string[] = []
  const rows = paths.map((path) => {
    const key = path.join('.')
    const setting = settingAt(path)
    const usual = defaultOf(path, setting)
    if (usual.length > LONGEST_DEFAULT) notes.push(`Default of \`${key}\`: ${usual}.`)
    const shown = usual.length > LONGEST_DEFAULT ? 'see below' : usual
    return `| \`${key}\` | ${variableOf(path, setting)} | ${valuesOf(setting)} | ${shown} | ${cell(setting.description)} |`
  })
  const table = [
    '| Setting | Environment variable | Values | Default | Meaning |',
    '|---|---|---|---|---|',
    ...rows,
  ]
  return [`## ${name ?? 'General'}`, table.join('\n'), ...notes].join('\n\n')
}

function settingAt(path: readonly string[]): Setting {
  const found = path.reduce<unknown>((at, key) => sectionSchema.parse(at).properties[key], configJsonSchema())
  return settingSchema.parse(found)
}

/** Text cannot say what an object says, but for a source that is its kind alone. */
function variableOf(path: readonly string[], { type, properties }: Setting): string {
  return type === 'object' && properties === undefined ? 'none: file only' : `\`${environmentName(path)}\``
}

function valuesOf({ type, enum: choices, items, minimum, maximum, properties }: Setting): string {
  if (properties) return 'a kind, or an object'

  if (choices) return quoted(choices)
  if (type === 'array') return items?.enum ? `list of ${quoted(items.enum)}` : 'list of text'
  if (type === 'integer') return `${minimum} to ${maximum}`
  if (type === 'object') return 'requests for streams by name'
  return Array.isArray(type) ? 'duration' : 'text'
}

/** What holds where nothing is set. The JSON Schema leaves out the defaults of lists. */
function defaultOf(path: readonly string[], { default: usual, type }: Setting): string {
  if (type === 'object') return NO_DEFAULT
  const parsed = path.reduce<unknown>(
    (at, key) => (at as Readonly<Record<string, unknown>>)[key],
    configSchema.parse({}),
  )
  const value = usual ?? parsed
  if (value === undefined) return NO_DEFAULT
  return Array.isArray(value) ? value.map((each) => `\`${each}\``).join(', ') : `\`${value}\``
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(', ')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function example(): string {
  return `## Example\n\n[tapeline.example.yaml](../tapeline.example.yaml):\n\n\`\`\`yaml\n${readFileSync(EXAMPLE, 'utf8').trim()}\n\`\`\``
}
