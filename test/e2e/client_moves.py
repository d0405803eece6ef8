"""Moves a stream from trades to quotes and back while a loop reads it, and prints what the loop gets until the stream ends."""

import asyncio
import json
import sys

from tapeline import ApiError, Client

A_LEG = 40


async def again(ask):
    """Asks until there is an answer: the connection may be cut. What was done already is not done twice."""
    while True:
        try:
            return await ask()
        except OSError:
            await asyncio.sleep(0.05)


async def main():
    client = Client(sys.argv[1])
    stream = client.stream({"channel": "trade", "symbols": ["BTC-*"]})
    channels, topics, taken, refused = ["trade", "quote", "trade"], [], 0, None
    async for event in stream:
        print(json.dumps(event), flush=True)
        taken += channels[:1] == [event["type"]]
        if taken < A_LEG:
            continue
        taken = 0
        channels.pop(0)
        if channels:
            info = await again(lambda: client.modify_stream(stream.id, {"channel": channels[0]}))
            topics.append(info["topic"])
            continue
        try:
            await again(lambda: client.modify_stream(stream.id, {"where": "size >"}))
        except ApiError as error:
            refused = error.code
        try:
            await again(lambda: client.delete_stream(stream.id))
        except ApiError as error:
            assert error.code == "STREAM_UNKNOWN", error
    print(json.dumps({"type": "moves", "topics": topics, "refused": refused}))


asyncio.run(main())
