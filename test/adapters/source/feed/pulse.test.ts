import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { describe, mock, test } from 'node:test'
import { startPulse } from '../../../../src/adapters/source/feed/pulse.ts'

/** A connection whose other side answers pings while `isThere`. */
class Connection extends EventEmitter {
  isThere = true
  pings = 0

  ping(): void {
    this.pings++
    if (this.isThere) this.emit('pong')
  }
}

describe('the pulse of a connection', () => {
  test('is felt for as long as pings are answered, however quiet the market is', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const [connection, gone] = [new Connection(), mock.fn()]
    startPulse(connection, gone)
    for (let second = 0; second < 600; second++) t.mock.timers.tick(1_000)
    assert.equal(gone.mock.callCount(), 0)
  })

  test('is gone, once, within 16 s of the last sign of life', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const [connection, gone] = [new Connection(), mock.fn()]
    startPulse(connection, gone)
    t.mock.timers.tick(20_000)
    connection.emit('message')
    connection.isThere = false
    for (let second = 0; second < 16; second++) t.mock.timers.tick(1_000)
    assert.equal(gone.mock.callCount(), 1)
    for (let second = 0; second < 60; second++) t.mock.timers.tick(1_000)
    assert.equal(gone.mock.callCount(), 1)
  })

  test('says nothing where the other side never answers pings', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const [connection, gone] = [new Connection(), mock.fn()]
    connection.isThere = false
    startPulse(connection, gone)
    for (let second = 0; second < 600; second++) t.mock.timers.tick(1_000)
    assert.equal(gone.mock.callCount(), 0)
  })

  test('asks nothing while data comes', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const connection = new Connection()
    const pulse = startPulse(connection, mock.fn())
    for (let second = 0; second < 60; second++) {
      t.mock.timers.tick(1_000)
      connection.emit('message')
    }
    assert.equal(connection.pings, 1)
    pulse.stop()
  })
})
