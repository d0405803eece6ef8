import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KafkaTopic } from '../../src/adapters/broker/kafka.ts'
import { topicFindings } from '../../src/cli/doctor/topics.ts'
import { loadConfig } from '../../src/config.ts'
import { requiredTopics } from '../../src/control/topics.ts'
import { NAMES } from '../names.ts'

const config = loadConfig({ environment: {}, flags: {} })
const DAY_MS = 86_400_000

/** Every topic as this configuration makes it, on three brokers; `changes` by name. */
function made(changes: Readonly<Record<string, Partial<KafkaTopic>>> = {}): KafkaTopic[] {
  const { partitions, retention, deadLetterRetention } = config.topics
  return requiredTopics({
    names: NAMES,
    partitions,
    retentionMs: retention,
    deadLetterRetentionMs: deadLetterRetention,
  }).map(({ name, compacted, retentionMs, ...spec }) => ({
    name,
    partitions: spec.partitions,
    replication: 3,
    minInsyncReplicas: 2,
    retentionMs,
    compacted: compacted === true,
    ...changes[name],
  }))
}

function only(topics: readonly KafkaTopic[], brokers = 3) {
  const findings = topicFindings(config, topics, brokers)
  assert.equal(findings.length, 1, JSON.stringify(findings))
  const [finding] = findings
  assert.ok(finding)
  return finding
}

describe('topics of a Kafka broker', () => {
  test('as they are made, they are well', () => {
    assert.deepEqual(only(made()), {
      check: 'broker topics',
      status: 'ok',
      detail: '11 as configured, 0 dynamic',
    })
  })

  test('those that are missing are made at the start', () => {
    assert.match(only([]).detail, /^0 as configured, 0 dynamic, 11 will be made/)
    assert.equal(only([]).status, 'ok')
  })

  test('more copies than there are brokers cannot be made', () => {
    const three = loadConfig({ environment: {}, flags: { broker: { replication: 3 } } })
    const [finding] = topicFindings(three, [], 1)
    assert.equal(finding?.status, 'fail')
    assert.match(finding?.detail ?? '', /broker\.replication asks for 3 copies, and there is 1 broker/)
    assert.equal(topicFindings(three, [], 3)[0]?.status, 'ok')
  })

  test('others are none of ours', () => {
    const foreign = { ...made()[0], name: 'orders', replication: 1, minInsyncReplicas: 2 } as KafkaTopic
    assert.equal(only([...made(), foreign]).status, 'ok')
  })

  const BAD: readonly (readonly [
    what: string,
    changes: Readonly<Record<string, Partial<KafkaTopic>>>,
    status: 'warn' | 'fail',
    detail: RegExp,
    remedy: RegExp,
  ])[] = [
    [
      'partitions',
      { 'market.quotes': { partitions: 8 } },
      'fail',
      /quotes has 8 .* says 4/,
      /topics\.partitions/,
    ],
    [
      'a registry that is not compacted',
      { 'tapeline.registry': { compacted: false, retentionMs: DAY_MS } },
      'fail',
      /registry is not compacted/,
      /cleanup\.policy .* compact/,
    ],
    [
      'a fixed topic that is compacted',
      { 'market.trades': { compacted: true } },
      'fail',
      /trades is compacted/,
      /delete/,
    ],
    [
      'retention',
      { 'market.trades': { retentionMs: DAY_MS } },
      'warn',
      /1 days, .* 7 days/,
      /retention\.ms .* 604800000/,
    ],
    [
      'endless retention',
      { 'market.trades': { retentionMs: undefined } },
      'warn',
      /for ever/,
      /retention\.ms/,
    ],
    [
      'too few copies',
      { 'market.trades': { replication: 1 } },
      'fail',
      /nothing can be written: market\.trades/,
      /min\.insync/,
    ],
  ]
  for (const [what, changes, status, detail, remedy] of BAD) {
    test(`${what}: ${status}`, () => {
      const brokers = what === 'too few copies' ? 1 : 3
      const finding = only(made(changes), brokers)
      assert.equal(finding.status, status)
      assert.match(finding.detail, detail)
      assert.match(finding.remedy ?? '', remedy)
    })
  }

  test('many topics of one kind are told together', () => {
    const all = (change: Partial<KafkaTopic>) => made().map((topic) => ({ ...topic, ...change }))
    assert.match(
      only(all({ replication: 2 })).detail,
      /one broker away stops writes: market\.trades, .* and 8 more/,
    )
    const single = only(all({ replication: 1, minInsyncReplicas: 1 }))
    assert.deepEqual([single.status, single.check], ['warn', 'broker topics'])
    assert.match(single.detail, /one copy on 3 brokers/)
    assert.equal(only(all({ replication: 1, minInsyncReplicas: 1 }), 1).status, 'ok')
  })
})
