import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { describeBroker } from '../../contract/broker.ts'
import { spoilEmbedded } from './spoil-embedded.ts'

describeBroker('embedded broker in memory', async () => {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  return { broker, close: () => broker.close() }
})

describeBroker('embedded broker in a folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-broker-'))
  const broker = await openEmbeddedBroker({ folder })
  return {
    broker,
    spoil: async (_topic, _partition, text) => spoilEmbedded(folder, text),
    async close() {
      await broker.close()
      await rm(folder, { recursive: true })
    },
  }
})
