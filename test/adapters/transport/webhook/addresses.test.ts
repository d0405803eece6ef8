import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAddressGuard } from '../../../../src/adapters/transport/webhook/addresses.ts'

const REFUSED = [
  ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.255.254'],
  ...['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.8', '192.168.1.1', '198.18.0.1'],
  ...['224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
  ...['::', '::1', 'fe80::1', 'fe80::1%lo', 'fc00::1', 'fd12:3456::1', 'ff02::1', '2001::1', '2001:db8::1'],
  // IPv4 in IPv6: mapped, compatible, NAT64, 6to4.
  ...[
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:8.8.8.8',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
  ],
  ...['localhost', '', '127.1', '0x7f000001'],
]
const PUBLIC = ['8.8.8.8', '93.184.216.34', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450::1']

describe('createAddressGuard', () => {
  test('takes public addresses and no others', () => {
    const mayConnect = createAddressGuard([])
    for (const address of PUBLIC) assert.equal(mayConnect(address), true, address)
    for (const address of REFUSED) assert.equal(mayConnect(address), false, address)
  })

  test('takes what is allowed, and nothing beside it', () => {
    const mayConnect = createAddressGuard(['127.0.0.1', '10.1.0.0/16', 'fd00::/8'])
    for (const address of ['127.0.0.1', '10.1.255.1', 'fd12::1', '8.8.8.8', '::ffff:10.1.0.1'])
      assert.equal(mayConnect(address), true, address)
    for (const address of ['127.0.0.2', '10.2.0.1', '169.254.169.254', '::1', '::ffff:10.2.0.1'])
      assert.equal(mayConnect(address), false, address)
  })
})
