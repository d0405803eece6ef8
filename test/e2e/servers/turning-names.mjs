// Loaded in front of a platform (`--import`): `hooks.test` means what the file TURNING_NAME holds at that moment.
import dns from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { lookup } = dns
dns.lookup = async (name, options) => {
  if (name !== 'hooks.test') return lookup(name, options)
  return [{ address: readFileSync(process.env.TURNING_NAME, 'utf8').trim(), family: 4 }]
}
syncBuiltinESMExports()
