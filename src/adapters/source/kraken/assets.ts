/** What Kraken's REST calls some assets otherwise than everybody and its own WebSocket. */
const ASSETS: Readonly<Record<string, string>> = { BTC: 'XBT', DOGE: 'XDG' }

/** What Kraken's REST calls an asset. */
export function ownAsset(usual: string): string {
  return ASSETS[usual] ?? usual
}

/** What everybody calls an asset of Kraken's REST. */
export function usualAsset(own: string): string {
  return Object.keys(ASSETS).find((asset) => ASSETS[asset] === own) ?? own
}
