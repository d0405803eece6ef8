/** CryptoCompare's aggregate over all exchanges. It is on no list of exchanges. */
export const AGGREGATE = 'cccagg'

/**
 * The names of exchanges in the service's frames and addresses, as far as they are known; ours are these in lower case. Sources:
 * the service's documentation and the subscriptions of public clients.
 */
const KNOWN = `
  CCCAGG
  ABCC Abucoins alphaex ANXBTC ascendex ataix bequant betconix Bgogo Bibox BigONE bilaxy Binance binanceusa bingcoins bingx bit
  Bit2C bit2me bitasset Bitbank BitBay bitbns bitci BitexBook Bitfinex BitFlip bitFlyer bitFlyerFX bitflyerus Bitforex bitget
  Bithumb bithumbglobal bitinka Bitlish BitMarket BitMart Bitmex bitopro bitpanda Bitpoint bitrue Bitsane Bitso BitSquare Bitstamp
  BitTrex bitunix bkex Bleutrade blockchaincom BTCAlpha BTCChina BTCE btcex BTCMarkets btcmex BTCTurk btcXchange BTCXIndia BTC38
  BTER btse bullish bwexchange BXinth bybit bydfi CCEDK CCEX Cexio CHBTC cobinhood Coinbase Coincap Coincheck CoinDeal CoinEx
  CoinFalcon coinfield Coinfloor CoinHub CoinJar Coinone Coinroom CoinsBank Coinsbit Coinse Coinsetter coinspro coinsuper CoinTiger
  coinw coss crex24 crosstower cryptodotcom cryptology cryptonex Cryptopia Cryptsy CryptoX currency darbfinance deribit DigiFinex
  DSX erisx EtherDelta EthexIndia etoro Exenium Exmo EXRATES ExtStock fastex FCoin flipster Foxbit ftx ftxus garantex Gatecoin
  Gateio Gemini Graviex hashkey hbus HitBTC Huobi HuobiPro idevex Incorex IndependentReserve indodax indoex IQFinex itBit Jubi
  Korbit Kraken Kucoin Kuna LakeBTC LAToken LBank Liqnet Liqui Liquid LiveCoin lmax LocalBitcoins Luno Lykke MercadoBitcoin
  mercatox mexc MonetaGo MtGox NDAX Neraex Nexchange nominex Novaexchange OKCoin OKEX onetrading Ore P2PB2B paramountdax paribu
  Paymium phemex Poloniex primexbt probit QuadrigaCX Quoine Remitano RightBTC seedcx sigenp2p sigenpro Simex SingularityX sistemkoin
  StocksExchange StocksExchangeio tchapp TheRockTrading thore Threexbit Tidex timex Tokenomy toobit tradeogre TrustDEX TuxExchange
  Unocoin Upbit utorg valr Vaultoro ViaBTC vitex WavesDEX wazirx wbb WEX whitebit woo xcoex xtpub Yacuna yellow Yobit Yunbi Zaif
  zbdotcom ZBG zebitex zonda
`

const WIRE_OF: ReadonlyMap<string, string> = byOurName(KNOWN.trim().split(/\s+/))

/** What exchanges are called on the wire: as the service's own list says, else as is known, else as the user wrote it. */
export class ExchangeNames {
  readonly #written: ReadonlyMap<string, string>
  #listed: ReadonlyMap<string, string> = new Map()

  /** `written`: names as the user wrote them, in whatever case. */
  constructor(written: readonly string[]) {
    this.#written = byOurName(written)
  }

  /** Takes the names of the service's own list. */
  learn(names: readonly string[]): void {
    this.#listed = byOurName(names)
  }

  /** The wire name of one of our exchange names. */
  wire(exchange: string): string {
    return this.#listed.get(exchange) ?? WIRE_OF.get(exchange) ?? this.#written.get(exchange) ?? exchange
  }
}

function byOurName(names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.map((name) => [name.toLowerCase(), name]))
}
