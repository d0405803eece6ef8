import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { loadConfig } from '../../src/config.ts'
import { environmentName, settingPaths } from '../../src/config-schema.ts'
import {
  imageEnvironment,
  imageInstructions,
  PINNED,
  pathOf,
  readDockerfile,
  readText,
  VERSION,
} from './files.ts'

/** The command of a check of health, and the port that it asks. */
const command = z.array(z.string())

function imageCheck(): string[] {
  const [health = ''] = imageInstructions('HEALTHCHECK')
  return command.parse(JSON.parse(health.replace(/^.*?CMD /, '')))
}

describe('the image', () => {
  test('stands on a pinned official image, in all stages', () => {
    const [, base = ''] = /^ARG NODE_IMAGE=(\S+)$/m.exec(readText('Dockerfile')) ?? []
    assert.match(base, PINNED)
    assert.match(base, /^node:24\.\d+\.\d+-\w+-slim$/)
    for (const [from] of readDockerfile()) assert.match(from?.text ?? '', /^\$\{NODE_IMAGE\}( AS \w+)?$/)
    const labels = imageInstructions('LABEL').join(' ')
    assert.ok(labels.includes(`image.base.name="docker.io/library/${base}"`))
    assert.ok(labels.includes(`image.version="${VERSION}"`), 'the label has the version of the package')
  })

  test('brings the Node that the project is tested with', () => {
    const { devDependencies } = z
      .object({ devDependencies: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readText('package.json')))
    assert.ok(readText('Dockerfile').includes(`node:${devDependencies['node']}-`))
  })

  test('holds the build and what it needs, and no more', () => {
    const copies = imageInstructions('COPY')
    assert.ok(copies.includes('--from=build /build/dist /opt/tapeline/dist'))
    assert.ok(copies.includes('--from=dependencies /build/node_modules /opt/tapeline/node_modules'))
    assert.ok(!copies.some((text) => /\bsrc\b/.test(text)), 'with src it would not run the build')
    const installs = readDockerfile().map(
      (stage) => stage.find(({ text }) => text.startsWith('npm ci'))?.text,
    )
    assert.match(installs[0] ?? '', /--workspaces=false --ignore-scripts/)
    assert.match(installs[1] ?? '', /--workspaces=false --omit=dev --ignore-scripts/)
  })

  test('copies only what is there and what .dockerignore lets through', () => {
    const copied = readDockerfile()
      .flat()
      .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from='))
      .flatMap(({ text }) => text.split(' ').slice(0, -1))
    const [everything, ...let_in] = readText('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    assert.equal(everything, '*')
    assert.deepEqual(let_in.map((line) => line.slice(1)).sort(), [...new Set(copied)].sort())
    for (const name of copied) assert.ok(existsSync(pathOf(name)), name)
  })

  test('starts node itself, not as root, so that SIGTERM reaches it', () => {
    assert.deepEqual(imageInstructions('ENTRYPOINT'), ['["node", "/opt/tapeline/bin/tapeline.mjs"]'])
    assert.deepEqual(imageInstructions('CMD'), ['["up"]'])
    assert.deepEqual(imageInstructions('USER'), ['1000:1000'])
    assert.deepEqual(imageInstructions('STOPSIGNAL'), ['SIGTERM'])
  })

  test('sets settings that exist; one port serves all roles', () => {
    const environment = imageEnvironment()
    const known = settingPaths().map(environmentName)
    for (const name of Object.keys(environment))
      if (name !== 'NODE_ENV') assert.ok(known.includes(name), name)
    const { data, gateway, operations } = loadConfig({ environment, file: '/dev/null' })
    assert.deepEqual(imageInstructions('VOLUME'), [data])
    assert.deepEqual([operations.host, operations.port], [gateway.host, gateway.port])
    assert.deepEqual(imageInstructions('EXPOSE'), [String(gateway.port)])
    assert.ok(imageCheck().join(' ').includes(`//127.0.0.1:${gateway.port}/healthz'`))
  })

  test('its check of health tells an answer from a failure and from nobody', async (t) => {
    let status = 200
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/healthz' ? status : 404
      response.end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const [program, ...args] = imageCheck()
    assert.equal(program, 'node')
    const check = (at: number): Promise<number | null> =>
      new Promise((resolve) => {
        const words = args.map((word) => word.replace(':8080/', `:${at}/`))
        const child = execFile(process.execPath, words, () => resolve(child.exitCode))
      })
    assert.equal(await check(port), 0)
    status = 503
    assert.equal(await check(port), 1)
    server.close()
    server.closeAllConnections()
    assert.equal(await check(port), 1)
  })
})
