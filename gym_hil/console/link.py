"""The connection to one page: what it may do, and how fast it gets what is new."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from gym_hil.console.channel import Channel
from gym_hil.console.protocol import (
    FRAMES_IN_FLIGHT,
    RATE_BURST,
    RATE_LIMIT,
    VERSION,
    parse_input,
    parse_message,
)
from gym_hil.console.rate_limit import RateLimit
from gym_hil.errors import DeviceError

if TYPE_CHECKING:
    from gym_hil.console.server import Server

MESSAGES_KEPT = 400  # that a page has not taken yet; it is too slow to be of use then
_POLICY_VIOLATION, _REPLACED = 1008, 4001  # close codes, of RFC 6455 and our own


class Link:
    """One page's WebSocket. Lives in the server's loop.

    Args:
        server: whose page this is.
        page: the name that the page gave itself.
        socket: connected.
    """

    def __init__(self, server: Server, page: str, socket: web.WebSocketResponse):
        self.page = page
        self.channel: Channel | None = None
        self._server, self._socket = server, socket
        self._messages: deque[str] = deque()
        self._news = asyncio.Event()
        self._sent = 0  # sequence of the newest frame that was sent
        self._in_flight: dict[int, float] = {}  # sequence -> time of publishing
        self._ending: asyncio.Task[bool] | None = None

    async def serve(self) -> None:
        """Talk to the page until it is gone."""
        self.tell({"type": "hello", "version": VERSION, "channels": self._server.channel_list()})
        sender = asyncio.create_task(self._send())
        budget = RateLimit(RATE_LIMIT, RATE_BURST, time.monotonic())
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT or not budget.allow(time.monotonic()):
                    await self.refuse("too many messages" if message.type is WSMsgType.TEXT else "not text")
                    return
                try:
                    self._hear(parse_message(message.data))
                except DeviceError as error:
                    await self.refuse(str(error))
                    return
        finally:
            if self._ending is not None:
                # Whoever returns first closes the socket, without the code if that is the handler.
                await self._ending
            sender.cancel()

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message to the page as soon as it takes it."""
        self._messages.append(json.dumps(message, allow_nan=False))
        self._news.set()

    def look(self) -> None:
        """There is a new frame."""
        self._news.set()

    async def refuse(self, why: str) -> None:
        """Close the connection of a page that does not keep to the protocol."""
        self._server.refusals += 1
        await self._end(_POLICY_VIOLATION, why)

    async def replace(self) -> None:
        """Close the connection because the same page has come again."""
        await self._end(_REPLACED, "opened again elsewhere")

    def watch(self, channel: Channel | None) -> None:
        """Show another channel."""
        self.channel = channel
        self._sent, self._in_flight = 0, {}
        if channel is not None:
            self.tell(channel.controls())
            self.tell(channel.history())
            self._news.set()

    async def _end(self, code: int, why: str) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._socket.close(code=code, message=why.encode()[:120]))
        await asyncio.shield(self._ending)

    def _hear(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "watch":
            self._server.watch(self, message.get("channel"))
        elif kind == "ack":
            sequence = message.get("sequence")
            published = self._in_flight.pop(sequence, None) if isinstance(sequence, int) else None
            if published is not None:
                self._server.latencies.append(time.time() - published)
                self._news.set()
        elif kind == "input":
            self._server.hear(self, parse_input(message))
        elif kind == "take":
            self._server.take(self)
        elif kind == "release":
            self._server.release(self)
        elif kind == "pause":
            self._server.pause(self, message.get("on") is True)
        elif kind == "ask":
            self._server.ask(self, message.get("name"))
        else:
            raise DeviceError(f"The page sent a message of an unknown type {kind!r}.")

    async def _send(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if len(self._messages) > MESSAGES_KEPT:
                await self.refuse("too slow")
                return
            while self._messages:
                await self._socket.send_str(self._messages.popleft())
            channel = self.channel
            if channel is None or channel.sequence == self._sent or len(self._in_flight) >= FRAMES_IN_FLIGHT:
                continue
            frame = channel.frame()
            if frame is not None:
                self._sent, published, packed = frame
                self._in_flight[self._sent] = published
                await self._socket.send_bytes(packed)
