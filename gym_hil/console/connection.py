"""The WebSocket of one page: how much it may send, and how fast it gets frames."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from aiohttp import WSMsgType, web

from gym_hil.console.channel import Channel
from gym_hil.console.messages import Ack, Alive, Ended, Hello, PageMessage, ServerMessage, decode, encode
from gym_hil.errors import DeviceError

FRAMES_IN_FLIGHT = 2
MESSAGE_RATE, MESSAGE_BURST = 240.0, 240  # messages per s, and at once; the page sends 60 inputs and as many acks
ALIVE_PERIOD = 0.15  # s without a message, after which one says that the connection works
MESSAGES_KEPT = 400  # that a page has not taken yet; it is too slow to be of use then
_POLICY_VIOLATION, _REPLACED, _ENDED = 1008, 4001, 4002  # close codes, of RFC 6455 and our own


_ALIVE = encode(Alive())


class RateLimit:
    """A budget of messages: it gains `per_second`, and holds `burst` at most and at the start; times are in s."""

    def __init__(self, per_second: float, burst: float, now: float):
        self._per_second, self._burst = per_second, burst
        self._left, self._then = burst, now

    def allow(self, now: float) -> bool:
        """Spend one message. False if there is none left."""
        self._left = min(self._burst, self._left + (now - self._then) * self._per_second)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class PageConnection:
    """One page's WebSocket. Lives in the server's loop.

    `receive` takes this connection and each message of the page but acknowledgements; `latencies` gets the time from a
    frame's publishing to its acknowledgement, in s.

    Attributes:
        page: the name that the page gave itself.
        channel: that the page watches.
        images: whether the page needs images of the scene.
        refusal: why the connection was closed by this side; None if it was not.
    """

    def __init__(
        self,
        page: str,
        socket: web.WebSocketResponse,
        *,
        receive: Callable[[PageConnection, PageMessage], None],
        latencies: deque[float],
    ):
        self.page = page
        self.channel: Channel | None = None
        self.images = False
        self.refusal: str | None = None
        self._socket, self._receive, self._latencies = socket, receive, latencies
        self._messages: deque[str] = deque()
        self._work = asyncio.Event()
        self._sent = 0  # sequence of the newest frame that was sent
        self._in_flight: dict[int, float] = {}  # sequence -> time of publishing
        self._closing: asyncio.Task[bool] | None = None

    async def serve(self, hello: Hello) -> None:
        """Exchange messages with the page until the connection ends."""
        self.send(hello)
        sender = asyncio.create_task(self._send_until_closed())
        budget = RateLimit(MESSAGE_RATE, MESSAGE_BURST, time.monotonic())
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT or not budget.allow(time.monotonic()):
                    await self.refuse("too many messages" if message.type is WSMsgType.TEXT else "not text")
                    return
                try:
                    self._handle(decode(message.data))
                except DeviceError as error:
                    await self.refuse(str(error))
                    return
        finally:
            if self._closing is not None:
                # The handler's return would close the socket without the code.
                await self._closing
            sender.cancel()

    def send(self, message: ServerMessage) -> None:
        """Send a message as soon as the page takes it."""
        self._messages.append(encode(message))
        self._work.set()

    def send_frame(self) -> None:
        """Send the newest frame as soon as the page takes it."""
        self._work.set()

    def watch(self, channel: Channel | None) -> None:
        """Show another channel."""
        self.channel = channel
        self._sent, self._in_flight = 0, {}
        if channel is not None:
            self.send(channel.bindings())
            self.send(channel.history())
            self.send(channel.session)
            self._work.set()

    async def refuse(self, why: str) -> None:
        """Close the connection of a page that does not keep to the protocol."""
        self.refusal = why
        await self._close(_POLICY_VIOLATION, why)

    async def replace(self) -> None:
        """Close the connection because the same page has opened another one."""
        await self._close(_REPLACED, "opened again elsewhere")

    async def end(self, text: str) -> None:
        """Close the connection because the program ends; the page shows the text."""
        with contextlib.suppress(asyncio.TimeoutError, ConnectionError):
            await asyncio.wait_for(self._socket.send_str(encode(Ended(text))), 0.5)
            await asyncio.wait_for(self._close(_ENDED, "the program ends"), 0.5)

    async def _close(self, code: int, why: str) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._socket.close(code=code, message=why.encode()[:120]))
        await asyncio.shield(self._closing)

    def _handle(self, message: PageMessage) -> None:
        if not isinstance(message, Ack):
            self._receive(self, message)
        elif self.channel is not None and message.channel == self.channel.number:
            published = self._in_flight.pop(message.sequence, None)
            if published is not None:
                self._latencies.append(time.time() - published)
                self._work.set()

    async def _send_until_closed(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._send_all()

    async def _send_all(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._work.wait(), ALIVE_PERIOD)
            except asyncio.TimeoutError:
                await self._socket.send_str(_ALIVE)
                continue
            self._work.clear()
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
