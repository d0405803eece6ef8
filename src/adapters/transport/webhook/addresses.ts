import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'

/** What is no address of the public internet. Source: IANA's registries of special-purpose addresses, IPv4 and IPv6. */
const NOT_PUBLIC = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  // IPv6 assigns public addresses in 2000::/3 alone: all the rest is left out, and in it what leads to other addresses.
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
]
const PUBLIC_IPV6 = ['2000::/3']
/** An IPv4 address in the clothes of IPv6. */
const MAPPED = ['::ffff:0:0/96']

/** Decides which addresses may be connected to. */
export type AddressGuard = (address: string) => boolean

/**
 * A guard that takes public addresses, and those of the networks named: addresses, or networks such as 10.1.0.0/16. An IPv4-mapped IPv6
 * address counts as the IPv4 address where networks are allowed, and is never public.
 */
export function createAddressGuard(allowed: readonly string[]): AddressGuard {
  const isAllowed = contains(allowed)
  return (address) => {
    if (isIP(address) === 0) return false
    if (isAllowed(address)) return true
    if (isIPv6(address) && isMapped(address)) return false
    return isIPv4(address) ? !isSpecial(address) : isPublicIPv6(address) && !isSpecial(address)
  }
}

const isSpecial = contains(NOT_PUBLIC)
const isPublicIPv6 = contains(PUBLIC_IPV6)
const isMapped = contains(MAPPED)

function contains(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const { address, bits } = parse(network)
    list.addSubnet(address, bits, familyOf(address))
  }
  return (address) => list.check(address, familyOf(address))
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6'
}

function parse(network: string): { readonly address: string; readonly bits: number } {
  const [address = '', bits] = network.split('/')
  return { address, bits: Number(bits ?? (isIPv4(address) ? 32 : 128)) }
}
