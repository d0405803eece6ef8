import { describeBroker } from '../contract/broker.ts'
import { MemoryBroker } from './memory-broker.ts'

describeBroker(
  'the broker of the simulated world',
  async () => {
    const broker = new MemoryBroker(Date.now)
    return { broker, close: () => broker.close() }
  },
  { remembersNames: false },
)
