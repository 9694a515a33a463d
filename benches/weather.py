"""Bad weather between a client and a registry, for soak.py: a proxy for HTTP on 127.0.0.1 that breaks a share of
the requests in one of the ways of FAULTS. What the client sent is handed on at once or not at all, so nothing
arrives at the registry after the client has given it up.
"""

import asyncio
import collections
import contextlib
import random
import socket
import struct
import threading

PIECE = 64 << 10

FAULTS = {
    "refuse": "the connection is reset before the request is handed on",
    "status": "500, 502, 503 or 429 instead of an answer",
    "reset": "the connection is reset at some byte of the answer",
    "close": "the connection is closed at some byte of the answer",
    "stall": "nothing for seconds at some byte of the answer",
    "slow": "the answer takes seconds",
    "flip": "a bit of the answer's content is wrong",
    "lost": "the request is handed on, and the connection is reset in place of the answer",
    "cut": "the connection is reset at some byte of what the client sends",
    "spoil": "a bit of what the client sends is wrong",
}

WEATHERS = {"calm": 0.0, "usual": 0.02, "rough": 0.1, "storm": 0.4}
"""The share of requests that go wrong. Those with content go wrong twice as often."""

REASONS = {429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}


class Broken(Exception):
    """The connection has ended, as it was to."""


class Fault:
    def __init__(self, kind, rng):
        self.kind, self.part, self.bit = kind, rng.random(), 1 << rng.randrange(8)
        self.seconds = rng.choice([2, 4, 8])
        self.status = rng.choice(sorted(REASONS))


class Weather:
    """What goes wrong, the same for all ways. `odds` may be changed at any time."""

    def __init__(self, seed):
        self.rng, self.odds = random.Random(seed), 0.0
        self.requests, self.broken = 0, collections.Counter()

    def choose(self, message):
        self.requests += 1
        # Without TLS nothing but digests protects content, and lists have none.
        has_digest = "/manifests/" in message.target or "/blobs/" in message.target
        has_content = message.method == "GET" and has_digest
        odds = self.odds * (2 if has_content or message.length else 1)
        if self.rng.random() >= odds:
            return None
        kinds = ["refuse", "status", "reset", "close", "stall", "slow", "lost"]
        if has_content:
            kinds += ["flip", "flip", "reset", "close"]
        if message.length:
            kinds += ["cut", "spoil"]
        kind = self.rng.choice(kinds)
        self.broken[kind] += 1
        return Fault(kind, self.rng)


class Message:
    """The head of a request or of an answer."""

    def __init__(self, head, asked=None):
        self.head = head
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.method, self.target = words[0], words[1]
        self.is_chunked = "chunked" in fields.get("transfer-encoding", "").lower()
        self.closes = "close" in fields.get("connection", "").lower()
        self.length = int(fields.get("content-length", 0))
        self.status = 0
        if asked is not None:
            self.status = int(words[1])
            if asked == "HEAD" or self.status in (204, 304) or self.status < 200:
                self.length, self.is_chunked = 0, False
            elif "content-length" not in fields and not self.is_chunked:
                # It ends with the connection.
                self.length, self.closes = 1 << 60, True


async def content(reader, message):
    """The bytes that follow a head, piece by piece as they come."""
    left = message.length
    while left > 0 and not message.is_chunked:
        piece = await reader.read(min(PIECE, left))
        if not piece:
            if message.length < 1 << 60:
                raise Broken
            return
        left -= len(piece)
        yield piece
    while message.is_chunked:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        yield line + await reader.readexactly(size + 2)
        if size == 0:
            return


def abort(writer):
    """Ends a connection by a reset."""
    with contextlib.suppress(OSError):
        whole = writer.get_extra_info("socket")
        whole.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def give(writer, pieces, fault, begin, total):
    """Hands on pieces. A fault strikes at some byte of the `total` from `begin` on."""
    at = None if fault is None else begin + int(fault.part * max(1, total - begin))
    given, step = 0, PIECE
    if fault is not None and fault.kind == "slow":
        step = max(1, total // 8)
    async for piece in pieces:
        if at is not None and given <= at < given + len(piece):
            cut = at - given
            if fault.kind in ("flip", "spoil"):
                piece = piece[:cut] + bytes([piece[cut] ^ fault.bit]) + piece[cut + 1:]
            elif fault.kind != "slow":
                writer.write(piece[:cut])
                await writer.drain()
                if fault.kind != "stall":
                    raise Broken
                await asyncio.sleep(fault.seconds)
                piece, given = piece[cut:], at
        for begun in range(0, len(piece), step):
            writer.write(piece[begun:begun + step])
            await writer.drain()
            if step < PIECE:
                await asyncio.sleep(0.25)
        given += len(piece)


async def whole(message, pieces):
    yield message.head
    async for piece in pieces:
        yield piece


class Way:
    """A way to the registry at `port`. `host` is where it begins."""

    def __init__(self, weather, port):
        self.weather, self.port, self.host = weather, port, None

    async def listen(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=256 << 10, backlog=512)
        self.host = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        far = None
        try:
            far = await asyncio.open_connection("127.0.0.1", self.port, limit=256 << 10)
            while await self.exchange(reader, writer, *far):
                pass
            writer.close()
        except (Broken, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            abort(writer)
        finally:
            if far is not None:
                far[1].transport.abort()

    async def exchange(self, reader, writer, far_reader, far_writer):
        """One request and its answer. Gives whether there may be another one."""
        try:
            asked = Message(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:
            return False
        fault = self.weather.choose(asked)
        kind = None if fault is None else fault.kind
        if kind == "refuse":
            raise Broken
        if kind == "status":
            async for _ in content(reader, asked):
                pass
            await self.answer(writer, fault.status)
            return False
        sends = fault if kind in ("cut", "spoil") else None
        pieces = whole(asked, content(reader, asked))
        await give(far_writer, pieces, sends, len(asked.head), len(asked.head) + asked.length)
        answer = Message(await far_reader.readuntil(b"\r\n\r\n"), asked.method)
        while answer.status < 200:
            answer = Message(await far_reader.readuntil(b"\r\n\r\n"), asked.method)
        if kind == "lost":
            raise Broken
        if sends is not None:
            fault = None
        begin = len(answer.head) if kind == "flip" else 0
        if kind == "flip" and (answer.is_chunked or answer.length == 0):
            fault = None
        try:
            pieces = whole(answer, content(far_reader, answer))
            await give(writer, pieces, fault, begin, len(answer.head) + min(answer.length, 1 << 30))
        except Broken:
            if kind != "close":
                raise
            return False
        return not (asked.closes or answer.closes)

    @staticmethod
    async def answer(writer, status):
        text = b'{"errors":[{"code":"UNAVAILABLE","message":"bad weather"}]}'
        again = "Retry-After: 1\r\n" if status in (429, 503) else ""
        head = (f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\n{again}"
                f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n")
        writer.write(head.encode() + text)
        await writer.drain()


def serve(weather, ports):
    """Ways to these ports, served by a thread of this process until it ends."""
    ways, ready = [Way(weather, port) for port in ports], threading.Event()

    async def main():
        for way in ways:
            await way.listen()
        ready.set()
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
    if not ready.wait(10):
        raise OSError("the ways to the registries do not open")
    return ways
