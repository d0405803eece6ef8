"""Prints what the client for Python gets: the events of a stream until it ends, then a line about history."""

import asyncio
import json
import sys

from tapeline import ApiError, Client


async def main():
    client = Client(sys.argv[1])
    try:
        async for _ in client.stream({"channel": "trade", "symbols": ["BTC-*"], "where": "size >"}):
            pass
    except ApiError as error:
        refused = error.code
    async for event in client.stream({"channel": "trade", "symbols": ["BTC-*"], "where": "size >= 0.03"}):
        print(json.dumps(event), flush=True)
    rows = [trade async for trade in client.trades("BTC-USD")]
    print(json.dumps({"type": "history", "rows": len(rows), "to": rows[-1]["ts"], "refused": refused}))


asyncio.run(main())
