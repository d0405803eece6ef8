import { test } from 'node:test'
import { openDatabase } from '../../src/adapters/broker/embedded/database.ts'
import { TopicCatalog } from '../../src/adapters/broker/embedded/topic-catalog.ts'
import { assertLevel } from './level.ts'

/** In each round, of which there are two at least. */
const TOPICS = 5_000
/** So many live at a time. */
const AT_ONCE = 100

test('the catalog of the embedded log keeps nothing of topics that were made and deleted', async () => {
  const database = openDatabase({ path: ':memory:', durability: 'process' })
  const catalog = new TopicCatalog(database)
  let made = 0
  const round = (): void => {
    for (let n = 0; n < TOPICS; n += AT_ONCE) {
      const specs = Array.from({ length: AT_ONCE }, () => ({ name: `app.${made++}`, partitions: 1 }))
      const topics = catalog.create(specs)
      catalog.delete(specs.map(({ name }, i) => ({ name, id: topics[i]?.id ?? '' })))
    }
  }
  await assertLevel(round, { mostBytes: TOPICS * 20, what: `${TOPICS} topics` })
  database.close()
})
