import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createKeyDesk } from '../../../src/control/key-desk.ts'
import { RegistryView } from '../../../src/control/registry-view.ts'
import { changeKeys, type KeyRequest } from '../../../src/services/coordinator/key-requests.ts'
import { NAMES } from '../../names.ts'
import { until } from '../until.ts'
import { NEVER, setUp } from './offices.ts'

const author = { v: 1, instance: 'a', epoch: 1 } as const
const about = { app: 'bot-1', scopes: ['read' as const], quotas: {} }

function create(id: string): KeyRequest {
  return {
    ...author,
    ...about,
    kind: 'CREATE_KEY_REQUEST',
    requestId: `r-${id}`,
    keyId: id,
    digest: digest(id),
  }
}

function revoke(id: string): KeyRequest {
  return { ...author, kind: 'REVOKE_KEY_REQUEST', requestId: `e-${id}`, keyId: id }
}

function digest(id: string): string {
  return Buffer.from(id).toString('hex').padStart(64, '0')
}

/** A registry with so many good keys, and so many that were revoked one after the other. */
function registryOf(good: number, revoked: number): RegistryView {
  const view = new RegistryView(NAMES.leaderId)
  const put = (id: string, revokedAt: number | null) =>
    view.keys.set({ ...author, ...about, kind: 'key', id, digest: digest(id), createdAt: 0, revokedAt })
  for (let n = 0; n < good; n++) put(`good-${n}`, null)
  for (let n = revoked - 1; n >= 0; n--) put(`revoked-${n}`, n)
  return view
}

test('the bound of keys counts good ones alone', () => {
  const full = registryOf(10_000, 1_000)
  assert.equal(changeKeys([create('one')], full, 5).failures.get('r-one')?.code, 'KEY_LIMIT')
  const rotated = changeKeys([revoke('good-7'), create('one'), create('two')], full, 5)
  assert.deepEqual([...rotated.failures.keys()], ['r-two'])
  assert.deepEqual(
    rotated.records.map(({ id, revokedAt }) => [id, revokedAt]),
    [
      ['good-7', 5],
      ['one', null],
    ],
  )
})

test('of revoked keys the last thousand stay; those before them leave the registry', () => {
  const view = registryOf(3, 1_000)
  assert.deepEqual(changeKeys([create('one')], view, 5_000).removed, [])
  const { removed } = changeKeys([revoke('good-0'), revoke('good-1'), revoke('revoked-3')], view, 5_000)
  assert.deepEqual(
    removed.map(({ id }) => id),
    ['revoked-0', 'revoked-1'],
  )
})

test('a key that has left is turned away in every process', async (t: TestContext) => {
  const world = await setUp(t)
  const first = await world.start('a')
  const second = await world.start('b')
  const { bus, registry } = second
  const desk = createKeyDesk({ instance: 'b', bus, registry, newId: world.newId })
  const ids = Array.from({ length: 1_002 }, (_, n) => `k${n}`)
  for (let at = 0; at < ids.length; at += 167) {
    const some = ids.slice(at, at + 167)
    await Promise.all(some.map((id) => desk.create({ id, digest: digest(id), ...about }, NEVER)))
    for (const id of some.slice(0, 1)) await desk.revoke(id, NEVER)
    await Promise.all(some.slice(1).map((id) => desk.revoke(id, NEVER)))
  }
  assert.equal(desk.list().length, 1_000)
  assert.deepEqual([desk.get('k0'), desk.find(digest('k0'))], [undefined, undefined])
  await until('the other process has forgotten it', () => first.registry.view.keys.get('k0') === undefined)
})
