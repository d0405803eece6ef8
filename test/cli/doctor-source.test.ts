import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { lockDataFolder } from '../../src/adapters/broker/embedded/lock.ts'
import { checkSource } from '../../src/cli/doctor/source.ts'
import { loadConfig } from '../../src/config.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { runCommand } from '../e2e/platform-process.ts'

const KEY = 'k3y-that-must-not-be-seen'

async function findings(service: Service): Promise<string> {
  const config = loadConfig({
    file: undefined,
    environment: { CRYPTOCOMPARE_API_KEY: KEY },
    flags: { source: { url: service.url, restUrl: service.restUrl } },
  })
  const found = await checkSource(config, AbortSignal.timeout(15_000))
  return found.map(({ check, status, detail }) => `${status} ${check}: ${detail}`).join('\n')
}

describe('doctor shows what a source says', () => {
  test('where it refuses the key', async (t) => {
    const service = await Service.start(t, {
      connected: (socket) =>
        sendFrame(socket, { TYPE: '401', MESSAGE: 'UNAUTHORIZED', INFO: `the key ${KEY} has expired` }),
    })
    assert.match(
      await findings(service),
      /^fail source: .* refuses the key: UNAUTHORIZED: the key \*\*\* has expired$/m,
    )
  })

  test('where it refuses the connection, and where it closes it', async (t) => {
    const service = await Service.start(t, { refuse: 403, refusal: '{"message":"this address has moved"}' })
    assert.match(await findings(service), /^fail source: .*refused with HTTP 403: this address has moved$/m)
    const closing = await Service.start(t, { connected: (socket) => socket.close(1008, 'no such plan') })
    assert.match(await findings(closing), /^fail source: .*closed by the other side \(1008\) no such plan$/m)
  })
})

test('doctor says which markets the exchange does not trade, with what is near, and how many connections they need', async (t) => {
  const row = (base: string, quote: string, state = 'live') => ({
    ...{ instId: `${base}-${quote}`, baseCcy: base, quoteCcy: quote, state },
  })
  const body = { code: '0', data: [row('BTC', 'USDT'), row('ETH', 'USDT'), row('OLD', 'USDT', 'suspend')] }
  const service = await Service.start(t, { rest: () => ({ body }) })
  const check = async (markets: string[]) => {
    const { url, restUrl } = service
    const config = loadConfig({
      environment: {},
      flags: { source: { kind: 'okx', url, restUrl, markets } },
    })
    const found = await checkSource(config, AbortSignal.timeout(15_000))
    return found.find((each) => each.check === 'source markets')
  }
  assert.deepEqual(await check(['okx:*-USDT']), {
    ...{ check: 'source markets', status: 'ok' },
    detail: 'OKX lists 2 of them (4 subscriptions over one connection)',
  })
  const odd = await check(['okx:BTC-USDT', 'okx:BTC-USTD', 'okx:OLD-USDT'])
  assert.equal(odd?.status, 'warn')
  assert.match(odd?.detail ?? '', /lists 1 of them .*it does not trade BTC-USTD.*BTC-USDT.*, OLD-USDT/)
})

test('doctor does not ask for a key beside a platform that starts or stops, such as a demo', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-doctor-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const lock = lockDataFolder(folder)
  t.after(() => lock.release())
  const { stdout } = await runCommand(['doctor', '--data', folder, '--port', '0', '--json'])
  const { findings: found } = JSON.parse(stdout) as { findings: { check: string; detail: string }[] }
  assert.match(found.find(({ check }) => check === 'lock')?.detail ?? '', /does not say that it runs/)
  assert.deepEqual(
    found.filter(({ check }) => check.startsWith('source')),
    [],
  )
  assert.doesNotMatch(stdout, /cryptocompare/i)
})
