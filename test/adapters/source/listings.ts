/** A list of each exchange, as its documentation shows one; the second market is not traded. */
export const LISTS: Readonly<
  Record<string, { readonly path: string; readonly body: unknown; readonly expected: unknown }>
> = {
  binance: {
    path: '/api/v3/exchangeInfo',
    body: {
      timezone: 'UTC',
      symbols: [
        {
          ...{ symbol: 'BTCUSDT', status: 'TRADING', baseAsset: 'BTC', quoteAsset: 'USDT' },
          filters: [
            { filterType: 'PRICE_FILTER', minPrice: '0.01', tickSize: '0.01' },
            { filterType: 'LOT_SIZE', minQty: '0.00001', stepSize: '0.00001' },
            { filterType: 'MARKET_LOT_SIZE', stepSize: '0.00000' },
          ],
        },
        { symbol: 'LUNABUSD', status: 'BREAK', baseAsset: 'LUNA', quoteAsset: 'BUSD', filters: [] },
      ],
    },
    expected: [
      ['BTC-USDT', 'BTCUSDT', '0.01', '0.00001', true],
      ['LUNA-BUSD', 'LUNABUSD', null, null, false],
    ],
  },
  bitfinex: {
    path: '/conf/pub:list:pair:exchange',
    body: [['BTCUSD', 'BTCUST', 'DOGE:USD']],
    expected: [
      ['BTC-USD', 'BTCUSD', null, null, true],
      ['BTC-USDT', 'BTCUST', null, null, true],
      ['DOGE-USD', 'DOGE:USD', null, null, true],
    ],
  },
  bitstamp: {
    path: '/markets/',
    body: [
      {
        ...{ market_symbol: 'btcusd', base_currency: 'BTC', counter_currency: 'USD', trading: 'Enabled' },
        ...{ base_decimals: 8, counter_decimals: 2 },
      },
      { market_symbol: 'xrpeur', base_currency: 'XRP', counter_currency: 'EUR', trading: 'Disabled' },
    ],
    expected: [
      ['BTC-USD', 'btcusd', '0.01', '0.00000001', true],
      ['XRP-EUR', 'xrpeur', null, null, false],
    ],
  },
  bybit: {
    path: '/v5/market/instruments-info',
    body: {
      retCode: 0,
      result: {
        category: 'spot',
        list: [
          {
            ...{ symbol: 'BTCUSDT', baseCoin: 'BTC', quoteCoin: 'USDT', status: 'Trading' },
            lotSizeFilter: { basePrecision: '0.000001' },
            priceFilter: { tickSize: '0.1' },
          },
          { symbol: 'OLDUSDT', baseCoin: 'OLD', quoteCoin: 'USDT', status: 'Closed' },
        ],
      },
    },
    expected: [
      ['BTC-USDT', 'BTCUSDT', '0.1', '0.000001', true],
      ['OLD-USDT', 'OLDUSDT', null, null, false],
    ],
  },
  coinbase: {
    path: '/products',
    body: [
      {
        ...{ id: 'BTC-USD', base_currency: 'BTC', quote_currency: 'USD', status: 'online' },
        ...{ quote_increment: '0.01', base_increment: '0.00000001', trading_disabled: false },
      },
      { id: 'REP-USD', base_currency: 'REP', quote_currency: 'USD', status: 'delisted' },
    ],
    expected: [
      ['BTC-USD', 'BTC-USD', '0.01', '0.00000001', true],
      ['REP-USD', 'REP-USD', null, null, false],
    ],
  },
  kraken: {
    path: '/AssetPairs',
    body: {
      error: [],
      result: {
        XXBTZUSD: {
          ...{ altname: 'XBTUSD', wsname: 'XBT/USD', base: 'XXBT', quote: 'ZUSD' },
          ...{ lot_decimals: 8, tick_size: '0.1', status: 'online' },
        },
        XDGEUR: { altname: 'XDGEUR', wsname: 'XDG/EUR', lot_decimals: 8, status: 'cancel_only' },
      },
    },
    expected: [
      ['BTC-USD', 'XBTUSD', '0.1', '0.00000001', true],
      ['DOGE-EUR', 'XDGEUR', null, '0.00000001', false],
    ],
  },
  okx: {
    path: '/api/v5/public/instruments',
    body: {
      code: '0',
      data: [
        {
          ...{ instId: 'BTC-USDT', baseCcy: 'BTC', quoteCcy: 'USDT', state: 'live' },
          ...{ tickSz: '0.1', lotSz: '0.00000001' },
        },
        { instId: 'OLD-USDT', baseCcy: 'OLD', quoteCcy: 'USDT', state: 'suspend' },
      ],
    },
    expected: [
      ['BTC-USDT', 'BTC-USDT', '0.1', '0.00000001', true],
      ['OLD-USDT', 'OLD-USDT', null, null, false],
    ],
  },
}
