import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { checkCertificate } from '../../src/cli/doctor/certificate.ts'
import { type ConfigInput, loadConfig } from '../../src/config.ts'
import { makeCertificate } from '../servers/postgres-files.ts'

const DAY_MS = 86_400_000

describe('doctor looks at the certificate', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapeline-doctor-'))
  const at = (name: string) => join(folder, name)
  const pair = { tlsCert: at('one/server.crt'), tlsKey: at('one/server.key') }
  const look = (flags: ConfigInput, now = Date.now()) =>
    checkCertificate(loadConfig({ environment: {}, flags }), now).map(({ status, detail }) => ({
      status,
      detail,
    }))

  before(async () => {
    for (const name of ['one', 'other']) {
      mkdirSync(at(name))
      await makeCertificate(at(name), 'DNS:market.example.com')
    }
  })
  after(() => rmSync(folder, { recursive: true }))

  test('of nothing where there is none', () => assert.deepEqual(look({}), []))

  test('whose it is and how long it is good', () => {
    const gateway = pair
    for (const [days, status, words] of [
      [0, 'warn', /^DNS:market\.example\.com: good for [12] more days, until \d{4}-\d\d-\d\d$/],
      [-13, 'fail', /not good before/],
      [3, 'fail', /over since/],
    ] as const) {
      const [finding] = look({ gateway }, Date.now() + days * DAY_MS)
      assert.equal(finding?.status, status)
      assert.match(finding?.detail ?? '', words)
    }
  })

  test('that of the operations without the role gateway', () => {
    const flags: ConfigInput = { roles: ['producer'], operations: pair, broker: { kind: 'kafka' } }
    assert.equal(look(flags).length, 1)
    assert.deepEqual(look({ ...flags, operations: {}, gateway: pair }), [])
  })

  test('and whether its key belongs to it', () => {
    const [finding] = look({ gateway: { ...pair, tlsKey: at('other/server.key') } })
    assert.equal(finding?.status, 'fail')
    assert.match(finding?.detail ?? '', /gateway\.tlsCert.*cannot be used with/)
    assert.match(look({ gateway: { tlsCert: pair.tlsCert } })[0]?.detail ?? '', /gateway\.tlsKey is missing/)
  })
})
