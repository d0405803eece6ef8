import { join } from 'node:path'
import { makeFolder, PlatformProcess } from '../e2e/platform-process.ts'
import { copyStoreTemplate } from '../store-template.ts'
const folder = await makeFolder()
await copyStoreTemplate(join(folder.path, 'data', 'store'))
const p = new PlatformProcess(join(folder.path, 'data'), ['--simulator', 'http://127.0.0.1:9'])
await p.start()
for (const body of [{ channel: 'book', symbols: ['*'], depth: 3, every: '250ms' }, { channel: 'book', symbols: ['*'] }, {channel:'book', symbols:['*'], depth: 3, every:'250ms', interval: ''}])
  console.log(JSON.stringify(await p.post('/v1/streams/preview', body).catch(String)))
await p.kill(); await folder.remove(); process.exit(0)
