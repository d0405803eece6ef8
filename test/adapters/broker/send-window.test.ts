import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SendWindow } from '../../../src/adapters/broker/send-window.ts'

const MiB = 1024 * 1024
const forever = new AbortController().signal

/** Enters, and notes when it was let in. */
function enter(window: SendWindow, admitted: string[], name: string, bytes: number, signal = forever) {
  const wait = window.enter(bytes, signal)
  return (wait ?? Promise.resolve()).then(() => admitted.push(name))
}

/** Lets everything run that is due. */
const turn = () => new Promise<void>(setImmediate)

test('senders beyond the bound wait their turn', async () => {
  const window = new SendWindow()
  const admitted: string[] = []
  assert.equal(window.enter(60 * MiB, forever), undefined)
  const waiting = [enter(window, admitted, 'large', 10 * MiB), enter(window, admitted, 'small', 1)]
  await turn()
  assert.deepEqual(admitted, [], 'a small one does not overtake')
  window.leave(60 * MiB)
  await Promise.all(waiting)
  assert.deepEqual(admitted, ['large', 'small'])
})

test('one that is larger than the bound goes alone', async () => {
  const window = new SendWindow()
  const admitted: string[] = []
  assert.equal(window.enter(100 * MiB, forever), undefined)
  const next = enter(window, admitted, 'next', 1)
  await turn()
  assert.deepEqual(admitted, [])
  window.leave(100 * MiB)
  await next
})

test('an abort takes a sender out of the queue and lets the next in', async () => {
  const window = new SendWindow()
  const admitted: string[] = []
  window.enter(60 * MiB, forever)
  const abort = new AbortController()
  const large = assert.rejects(enter(window, admitted, 'large', 10 * MiB, abort.signal), {
    name: 'AbortError',
  })
  const small = enter(window, admitted, 'small', 1)
  abort.abort()
  await Promise.all([large, small])
  assert.deepEqual(admitted, ['small'])
  assert.throws(() => window.enter(1, abort.signal), { name: 'AbortError' })
})

test('an abort after the admission changes nothing', async () => {
  const window = new SendWindow()
  const admitted: string[] = []
  window.enter(60 * MiB, forever)
  const abort = new AbortController()
  const first = enter(window, admitted, 'first', 10 * MiB, abort.signal)
  const last = enter(window, admitted, 'last', 64 * MiB)
  window.leave(60 * MiB)
  abort.abort()
  await first
  window.leave(10 * MiB)
  await last
  assert.deepEqual(admitted, ['first', 'last'])
})
