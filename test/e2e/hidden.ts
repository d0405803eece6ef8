import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

/** What a platform is given to keep to itself. */
export const SECRETS = {
  admin: 'adm-7f3kq2x9w0v8',
  application: 'app-91ksj2hd8f7g',
  source: 'cc-0a9s8d7f6g5h4j3k2l',
  slack: 'T0SECRET/B0SECRET/Xz81kdj3hf7s9d0f',
  database: 'db-pa55-0f9d8s7a6',
  collector: 'otlp-4kd8s7f6g5h3j2',
}

/** Raises where a text has one of these secrets, as it is, in an address or in base64. */
export function assertHidden(text: string, secrets: readonly string[], where: string): void {
  for (const secret of secrets)
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')])
      assert.ok(
        !text.includes(form),
        `${where} has ${secret}: ${text.slice(Math.max(0, text.indexOf(form) - 200)).slice(0, 400)}`,
      )
}

/** Raises where a file below a folder, of those whose names are such, has one of these secrets. */
export async function assertFilesHide(
  folder: string,
  secrets: readonly string[],
  names = /./,
): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && names.test(entry.name))
  assert.ok(files.length > 0, folder)
  for (const { parentPath, name } of files)
    assertHidden(await readFile(join(parentPath, name), 'latin1'), secrets, join(parentPath, name))
}

/** A server that refuses everything, and repeats in words all that it was sent. */
export interface Refusing {
  readonly url: string
  /** How often it was asked. */
  asked(): number
  close(): void
}

/** Starts one on a port that was free. */
export async function listenToRefuse(): Promise<Refusing> {
  let asked = 0
  const server = createServer((request, response) => {
    asked++
    const said = `refused ${request.url} ${JSON.stringify(request.headers)}`
    response.writeHead(500, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify({ Response: 'Error', Message: said, Err: { message: said, http_status_code: 500 } }),
    )
  })
  server.on('upgrade', ({ url, headers }, socket) => {
    asked++
    const said = `refused ${url} ${JSON.stringify(headers)}`
    socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${said.length}\r\n\r\n${said}`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked: () => asked,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
