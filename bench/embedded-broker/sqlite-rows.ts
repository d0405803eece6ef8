import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { RowAnswer, RowQuestion } from './sqlite-rows-protocol.ts'

// The baseline of the broker: what one writes first with node:sqlite. A row for each record, a transaction for each batch,
// in a thread of its own, with the durability that the embedded broker has by default.

const port = parentPort
if (port === null) throw new Error('This file runs in a worker thread.')
const database = new DatabaseSync(join(String(workerData), 'rows.db'))
database.exec(`
  pragma journal_mode = wal;
  pragma synchronous = normal;
  create table records (
    topic text not null, record_offset integer not null, key text, value blob, headers text not null,
    published integer not null, primary key (topic, record_offset)
  ) strict, without rowid`)
const insert = database.prepare('insert into records values (?, ?, ?, ?, ?, ?)')
const select = database.prepare(
  'select * from records where topic = ? and record_offset >= ? order by record_offset limit ?',
)

function answer(question: RowQuestion): RowAnswer {
  if (question.op === 'read') return { rows: select.all(question.topic, question.offset, question.limit) }
  database.exec('begin')
  let offset = question.baseOffset
  for (const { key, value, headers } of question.records) {
    insert.run(question.topic, offset++, key, value, headers, Date.now())
  }
  database.exec('commit')
  return { rows: [] }
}

port.on('message', (question: RowQuestion) => port.postMessage(answer(question)))
port.postMessage('ready')
