"""The client of Tapeline for Python 3.10 or newer: one file, with `websockets` 14 or newer.

    client = Client("http://127.0.0.1:8080")
    async for event in client.stream({"channel": "trade", "symbols": ["BTC-*"], "where": "size >= 0.1"}):
        if event["type"] == "trade":
            print(event["symbol"], event["price"], event["size"])

Events are dicts with the fields of docs/events.md and `type`, which is their channel. Two more values come: `reset`
(a part of the history is gone, `reason`) and `end` (the stream is over; the loop ends after it).
"""

import asyncio
import contextlib
import json
import random
import urllib.error
import urllib.parse
import urllib.request

import websockets

__all__ = ["ApiError", "Client", "Stream"]

FIRST_WAIT = 0.1
LONGEST_WAIT = 30.0
# After so many seconds without a word the connection is given up.
QUIET = 20.0
TIMEOUT = 30.0
PAGE_ROWS = 5_000
# Batches that wait for the loop. Beyond them the socket is not read: the platform then serves it from the log.
MOST_WAITING = 16
# Codes of errors on a socket that pass by themselves.
PASSING = {"SHUTTING_DOWN", "INTERNAL", "TIMEOUT", "CONTROL_UNAVAILABLE", "BROKER_UNAVAILABLE"}


class ApiError(Exception):
    """What the platform refused. Decide by `code`, which is stable (docs/errors.md)."""

    def __init__(self, problem, status):
        super().__init__(f"{problem.get('code')}: {problem.get('detail', '')}")
        self.code = problem.get("code")
        self.status = status
        self.remedy = problem.get("remedy", "")
        self.errors = problem.get("errors", [])

    @property
    def passes(self):
        """Whether the same request may be answered later."""
        return self.status >= 500 or self.status == 429


def back_off(failures):
    """Seconds to wait after so many failures in a row: doubled each time, with full jitter."""
    return random.random() * min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 20))


class Client:
    """A platform, and the key of the application where the platform has keys."""

    def __init__(self, url="http://127.0.0.1:8080", key=None):
        self.url = url.rstrip("/")
        self.headers = {} if key is None else {"authorization": f"Bearer {key}"}

    def stream(self, request, slow=None):
        """Makes a stream (docs/api.md, What a stream is made of) for the loop that reads it.

        `slow`: what becomes of a loop that takes less than comes: `catch-up` (the default), `latest` or `disconnect`.
        """
        return Stream(self, request=request, slow=slow)

    def resume(self, stream, cursor=None, slow=None):
        """Reads a stream that is there, from a cursor that was stored; without one from what comes next."""
        return Stream(self, stream=stream, cursor=cursor, slow=slow)

    def trades(self, symbol, **query):
        """Stored trades, one by one, the oldest first: `from_`, `to`, `exchange`, `order`, `cursor`."""
        return self._rows("trades", symbol, query)

    def quotes(self, symbol, **query):
        """Stored quotes, as `trades`."""
        return self._rows("quotes", symbol, query)

    def candles(self, symbol, **query):
        """Stored candles, as `trades`, and `interval`, `origin`."""
        return self._rows("candles", symbol, query)

    async def markets(self, **query):
        """The markets that are stored or listed: `symbol` (also a glob), `exchange`, `search`; `stored` (a bool) for one of both."""
        if isinstance(query.get("stored"), bool):
            query["stored"] = str(query["stored"]).lower()
        return await self._pages("markets", query)

    async def gaps(self, **query):
        """The gaps that were flagged, the latest first: `exchange`, `symbol`, `from`, `to`."""
        return await self._pages("gaps", query)

    async def _pages(self, name, query):
        found = []
        while True:
            answer = await self._ask_until_answered(f"/v1/{name}?" + urllib.parse.urlencode(query))
            found += answer[name]
            if answer["next"] is None:
                return found
            query["cursor"] = answer["next"]

    async def book(self, exchange, symbol, depth=None):
        """The order book of a market now: `bids` and `asks`, the best first. Raises where there is none, or where it is in doubt."""
        path = "/v1/books/" + urllib.parse.quote(exchange, "") + "/" + urllib.parse.quote(symbol, "")
        return await self.ask(path if depth is None else f"{path}?depth={depth}")

    async def create_stream(self, request):
        """Makes a stream; gives what the platform says about it."""
        return await self.ask("/v1/streams", "POST", request)

    async def streams(self):
        """The streams of the application."""
        return (await self.ask("/v1/streams"))["streams"]

    async def modify_stream(self, stream, change):
        """Moves a stream to another request (docs/api.md, Moving a stream). Loops that read it go on."""
        return await self.ask(path_of(stream), "PATCH", change)

    async def delete_stream(self, stream):
        """Ends a stream."""
        await self.ask(path_of(stream), "DELETE")

    async def create_webhook(self, request):
        """Makes a webhook (docs/webhooks.md): `url`, `spec` or `stream`, `maxEvents`, `maxWait`. The answer alone has its `secret`."""
        return await self.ask("/v1/webhooks", "POST", request)

    async def webhooks(self):
        """The webhooks of the application."""
        return (await self.ask("/v1/webhooks"))["webhooks"]

    async def pause_webhook(self, webhook):
        """Posts nothing more until it is resumed."""
        return await self.ask(path_of(webhook, "webhooks") + "/pause", "POST")

    async def resume_webhook(self, webhook):
        """Goes on where it was."""
        return await self.ask(path_of(webhook, "webhooks") + "/resume", "POST")

    async def delete_webhook(self, webhook):
        """Ends a webhook."""
        await self.ask(path_of(webhook, "webhooks"), "DELETE")

    async def ask(self, path, method="GET", body=None):
        """Sends a request and reads the answer. Raises ApiError, and OSError where nobody answers."""
        return await asyncio.to_thread(self._ask, path, method, body)

    async def _rows(self, name, symbol, query):
        wanted = {"order": "asc", "limit": PAGE_ROWS, "symbol": symbol}
        wanted |= {field.rstrip("_"): value for field, value in query.items()}
        while True:
            answer = await self._ask_until_answered(f"/v1/{name}?" + urllib.parse.urlencode(wanted))
            for row in answer[name]:
                yield row
            if answer["next"] is None:
                return
            wanted["cursor"] = answer["next"]

    async def _ask_until_answered(self, path):
        failures = 0
        while True:
            try:
                return await self.ask(path)
            except (ApiError, OSError) as error:
                if isinstance(error, ApiError) and not error.passes:
                    raise
            await asyncio.sleep(back_off(failures))
            failures += 1

    def _ask(self, path, method, body):
        headers = dict(self.headers)
        data = None
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise ApiError(problem_in(error.read(), error.code), error.code) from None
        return json.loads(text) if text else None


class Stream:
    """A stream that is read by one loop. It connects when the loop begins, and connects again and resumes by itself.

    `id` names it as soon as it is made; `cursor` is the place after the last batch of which the loop has taken all events.
    The stream lives on without a loop for its `ttl`.
    """

    def __init__(self, client, request=None, stream=None, cursor=None, slow=None):
        self.id = stream
        self.cursor = cursor
        self._client = client
        self._request = request
        self._slow = slow

    def __aiter__(self):
        return self._events()

    async def _events(self):
        async with contextlib.aclosing(self.batches()) as batches:
            async for batch in batches:
                if batch["type"] == "data":
                    for event in batch["events"]:
                        yield event
                else:
                    yield batch

    async def batches(self):
        """Batches `{"type": "data", "events", "cursor"}` (and `skipped`, if `slow` is `latest`), resets and the end, for who stores the cursor with the events."""
        failures = 0
        while True:
            try:
                async with contextlib.aclosing(self._messages()) as messages:
                    async for message in messages:
                        op = message.pop("op")
                        if op == "error":
                            status = 503 if message["code"] in PASSING else 400
                            raise ApiError({**message, "detail": message["message"]}, status)
                        failures = 0
                        if op == "subscribed":
                            self.cursor = self.cursor or message["cursor"]
                            # Of a stream that has moved it says what follows.
                            self._channel = message.get("channel", self._channel)
                            continue
                        for event in message.get("events", ()):
                            event["type"] = self._channel
                        yield {"type": op, **message}
                        if op == "end":
                            return
                        self.cursor = message["cursor"]
            except ApiError as error:
                if error.code == "STREAM_UNKNOWN":
                    yield {"type": "end", "reason": str(error)}
                    return
                if not error.passes:
                    raise
            except websockets.InvalidStatus as error:
                status = error.response.status_code
                refused = ApiError(problem_in(error.response.body, status), status)
                if not refused.passes:
                    raise refused from None
            except (OSError, EOFError, asyncio.TimeoutError, websockets.WebSocketException):
                pass
            await asyncio.sleep(back_off(failures))
            failures += 1

    async def _messages(self):
        """What the platform says on one connection, until that is over."""
        if self.id is None:
            info = await self._client.create_stream(self._request)
            self.id, self.cursor = info["id"], info.get("cursor")
        else:
            info = await self._client.ask(path_of(self.id))
        # Candles of an interval are derived from trades.
        self._channel = "candle" if "interval" in info["spec"] else info["spec"]["channel"]
        address = "ws" + self._client.url.removeprefix("http") + "/v1/ws"
        async with websockets.connect(
            address,
            additional_headers=self._client.headers,
            compression=None,
            max_size=None,
            max_queue=MOST_WAITING,
            ping_interval=QUIET,
            ping_timeout=QUIET,
        ) as socket:
            subscribe = {"op": "subscribe", "stream": self.id}
            if self.cursor is not None:
                subscribe["cursor"] = self.cursor
            if self._slow is not None:
                subscribe["slow"] = self._slow
            await socket.send(json.dumps(subscribe))
            async for text in socket:
                yield json.loads(text)


def path_of(name, kind="streams"):
    return f"/v1/{kind}/" + urllib.parse.quote(name, safe="")


def problem_in(text, status):
    """Also of what stands in front of the platform and answers in its own words."""
    try:
        problem = json.loads(text)
        if isinstance(problem, dict) and isinstance(problem.get("code"), str):
            return problem
    except ValueError:
        pass
    return {"code": f"HTTP_{status}", "detail": bytes(text or b"")[:200].decode(errors="replace")}
