import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Changes one letter of a text that one batch holds, in the embedded log of a folder: its checksum is then wrong. */
export function spoilEmbedded(folder: string, text: string): void {
  const database = new DatabaseSync(join(folder, 'broker.db'), { timeout: 5_000 })
  try {
    const { changes } = database
      .prepare(
        `update batches set data = cast(substr(data, 1, instr(data, ?1) - 1) || x'7e' || substr(data, instr(data, ?1) + 1) as blob)
         where instr(data, ?1) > 0`,
      )
      .run(Buffer.from(text))
    assert.equal(changes, 1, `batches with ${text}`)
  } finally {
    database.close()
  }
}
