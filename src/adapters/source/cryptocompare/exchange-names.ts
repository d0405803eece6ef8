/**
 * Exchanges whose wire name is not our name with a capital letter. Source: the exchange lists of the service and public clients.
 */
const IRREGULAR: Readonly<Record<string, string>> = {
  bitmart: 'BitMart',
  bittrex: 'BitTrex',
  cccagg: 'CCCAGG',
  hitbtc: 'HitBTC',
  huobipro: 'huobipro',
  itbit: 'itBit',
  lmax: 'LMAX',
  okex: 'OKEX',
}

/** The name that CryptoCompare's frames and addresses use for one of our exchange names. */
export function wireExchange(exchange: string): string {
  return IRREGULAR[exchange] ?? exchange.charAt(0).toUpperCase() + exchange.slice(1)
}
