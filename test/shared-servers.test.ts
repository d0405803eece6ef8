import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import pg from 'pg'
import { requireServer } from './servers/availability.ts'
import { postgresMissing } from './servers/postgres.ts'
import { KEEPER, keepServers, sharePostgres } from './servers/shared.ts'

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    await client.query('select 1')
    return true
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'ECONNREFUSED')
    return false
  } finally {
    await client.end()
  }
}

describe('servers that test files share', requireServer(postgresMissing()), () => {
  test('all files of a run get the same one; who lets go ends it for nobody, and the end of the run ends it', async () => {
    const keeper = await keepServers()
    try {
      const [one, other] = await Promise.all([sharePostgres(), sharePostgres()])
      assert.equal(one.url, other.url)
      await one.close()
      assert.ok(await answers(other.url))
      assert.equal((await sharePostgres()).url, other.url)
      await keeper.close()
      assert.ok(!(await answers(other.url)))
    } finally {
      await keeper.close()
    }
  })

  test('a file that runs alone has its own, which ends when it lets go', async () => {
    delete process.env[KEEPER]
    const own = await sharePostgres()
    try {
      assert.ok(await answers(own.url))
    } finally {
      await own.close()
    }
    assert.ok(!(await answers(own.url)))
  })
})
