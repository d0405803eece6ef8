import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TupleWriter } from '../../../src/adapters/store/copy-binary.ts'
import { TupleMemory } from '../../../src/adapters/store/tuple-memory.ts'

function write(writer: TupleWriter, text: string): TupleWriter {
  writer.startRow(1)
  writer.text(text)
  return writer
}

test('memory that was given back is written again, and none that is in use', () => {
  const memory = new TupleMemory()
  const [first, second] = ['a', 'b'].map((text) => memory.finish(write(memory.buffer(), text)))
  assert.ok(first && second)
  assert.notEqual(first.buffer, second.buffer)
  memory.release(first)
  memory.release(first)
  const third = memory.finish(write(memory.buffer(), 'c'))
  assert.equal(third.buffer, first.buffer, 'it is used again')
  const fourth = memory.finish(write(memory.buffer(), 'd'))
  assert.notEqual(fourth.buffer, first.buffer, 'giving it back twice lends it once')
  assert.deepEqual(
    [second, third, fourth].map((tuples) => Buffer.from(tuples).toString('utf8', 6)),
    ['b', 'c', 'd'],
  )
})

test('memory that has grown stays as large; foreign bytes and more than the limit are not kept', () => {
  const memory = new TupleMemory()
  const large = memory.finish(write(memory.buffer(), 'x'.repeat(1_000_000)))
  memory.release(large)
  memory.release(write(new TupleWriter(), 'foreign').finish())
  assert.equal(memory.finish(write(memory.buffer(), 'again')).buffer, large.buffer)
  assert.notEqual(memory.finish(write(memory.buffer(), 'other')).buffer, large.buffer)
  const huge = memory.finish(write(memory.buffer(), 'x'.repeat(40_000_000)))
  memory.release(huge)
  assert.notEqual(memory.finish(memory.buffer()).buffer, huge.buffer)
})
