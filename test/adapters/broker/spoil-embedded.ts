import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Gives the one batch that holds a text, in the embedded log of a folder, a format that nobody knows. */
export function spoilEmbedded(folder: string, text: string): void {
  const database = new DatabaseSync(join(folder, 'broker.db'), { timeout: 5_000 })
  try {
    const { changes } = database
      .prepare(`update batches set data = cast(x'ff' || substr(data, 2) as blob) where instr(data, ?) > 0`)
      .run(Buffer.from(text))
    assert.equal(changes, 1, `batches with ${text}`)
  } finally {
    database.close()
  }
}
