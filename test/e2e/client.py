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
    async for event in client.stream({"channel": "trade", "symbols": ["BTC-*"], "where": "size >= 0.03"}, slow="catch-up"):
        print(json.dumps(event), flush=True)
    # A public address, to which nothing is ever posted.
    none = {"channel": "trade", "symbols": ["BTC-*"], "where": "size > 1000000000.0", "ttl": 5}
    webhook = await client.create_webhook({"url": "https://1.1.1.1/hook", "spec": none})
    states = [(await client.pause_webhook(webhook["id"]))["state"], len(await client.webhooks())]
    states.append((await client.resume_webhook(webhook["id"]))["state"])
    await client.delete_webhook(webhook["id"])
    states.append(len(await client.webhooks()))
    rows = [trade async for trade in client.trades("BTC-USD")]
    print(json.dumps({"type": "history", "rows": len(rows), "to": rows[-1]["ts"], "refused": refused, "states": states}))


asyncio.run(main())
