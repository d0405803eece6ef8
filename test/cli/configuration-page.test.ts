import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { configurationPage, configurationSchema } from '../../src/cli/docs/configuration-page.ts'
import { configSchema, environmentName, settingPaths } from '../../src/config-schema.ts'

const page = configurationPage()

function rowOf(key: string): string {
  const row = page.split('\n').find((line) => line.startsWith(`| \`${key}\` |`))
  assert.ok(row, `${key} has a row`)
  return row
}

function cellsOf(key: string): string[] {
  return rowOf(key).slice('| '.length, -' |'.length).split(' | ')
}

describe('the page of the configuration', () => {
  test('has a row for each setting, with its variable and a meaning', () => {
    for (const path of settingPaths()) {
      const [, variable, values, , meaning] = cellsOf(path.join('.'))
      assert.ok(values && (meaning?.length ?? 0) > 10, path.join('.'))
      const expected = path.join('.') === 'streams.standing' ? 'none: file only' : environmentName(path)
      assert.ok(variable?.includes(expected), `${variable} is ${expected}`)
    }
  })

  test('shows the defaults that hold, durations as text', () => {
    assert.ok(rowOf('gateway.port').includes('| `8080` |'))
    assert.ok(rowOf('topics.deadLetterRetention').includes('| `30d` |'))
    assert.ok(rowOf('source.channels').includes('| `trade`, `quote` |'))
    for (const market of configSchema.parse({}).source.markets)
      assert.ok(page.includes(`\`${market}\``), market)
  })

  test('shows what a setting takes', () => {
    assert.ok(rowOf('broker.durability').includes('| `process`, `power` |'))
    assert.ok(rowOf('topics.partitions').includes('| 1 to 64 |'))
    assert.ok(rowOf('streams.grace').includes('| duration |'))
    assert.ok(rowOf('roles').includes('| list of `producer`, '))
  })

  test('has the secrets of the environment and the example', async () => {
    const names = [
      ...['TAPELINE_BROKER_PASSWORD', 'TAPELINE_STORE_PASSWORD', 'TAPELINE_STORE_QUERY_PASSWORD'],
      ...[
        'TAPELINE_ALERTS_WEBHOOK',
        'OTEL_EXPORTER_OTLP_HEADERS',
        'CRYPTOCOMPARE_API_KEY',
        'TAPELINE_API_KEYS',
      ],
    ]
    for (const name of names) assert.ok(page.includes(`\n| \`${name}\` | `), name)
    const example = await readFile(new URL('../../tapeline.example.yaml', import.meta.url), 'utf8')
    assert.ok(page.includes(example.trim()))
  })

  test('the schema for editors knows every setting', () => {
    const schema = JSON.parse(configurationSchema())
    for (const [first = '', second] of settingPaths()) {
      const section = schema.properties[first]
      assert.ok(second === undefined ? section : section.properties[second], `${first}.${second}`)
    }
  })
})
