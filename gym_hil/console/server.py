"""The HTTP side of the console: the scenes and the WebSockets. See `protocol`."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import queue
import re
import socket
import ssl
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gym_hil.console.access import Access
from gym_hil.console.channel import Channel
from gym_hil.console.link import Link
from gym_hil.console.page_server import PageServer
from gym_hil.console.protocol import MESSAGE_LIMIT, PAGE_ID_LENGTH, Input

if TYPE_CHECKING:
    from gym_hil.console.console import Console

MAX_PAGES = 32
HEARTBEAT = 2.0  # s between pings; a connection that answers none is closed
SEAT_CHECK = 1.0  # s
LATENCIES_KEPT = 2000
PAGE_ID = re.compile(rf"[A-Za-z0-9_-]{{{PAGE_ID_LENGTH[0]},{PAGE_ID_LENGTH[1]}}}")


class Server(PageServer):
    """Serves the pages. Lives in the console's loop, but for `tell` and `channels_changed`.

    Args:
        console: whose channels are shown.
        access: who may come.
        loop: in which this runs.
    """

    PAGE = "index.html"
    OWN_PAGE_ONLY = frozenset({"/link"})

    def __init__(self, console: Console, access: Access, loop: asyncio.AbstractEventLoop):
        super().__init__(access)
        self._console, self._loop = console, loop
        self._links: dict[str, Link] = {}
        self._watch: asyncio.Task[None] | None = None
        self._mail: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self.latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """See `PageServer`."""
        router.add_get("/link", self._link)
        router.add_get("/channel/{number:[0-9]{1,6}}/{part:scene.json|meshes.bin}", self._scene)

    async def start(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """See `PageServer`."""
        await super().start(listener, context)
        self._watch = asyncio.create_task(self._watch_seats())
        threading.Thread(target=self._carry_mail, name="gym-hil-console-mail", daemon=True).start()

    async def stop(self) -> None:
        """See `PageServer`."""
        if self._watch is not None:
            self._watch.cancel()
        self._mail.put(None)
        await super().stop()

    def _carry_mail(self) -> None:
        """Hand the loop what other threads put into the mail.

        To wake a loop is to write to a socket, which lets the loop run at once and the writer wait until it has packed
        and sent the frame. An environment's thread that only puts something into a queue goes on with its step.
        """
        while (letter := self._mail.get()) is not None:
            # The loop may end first; what it does not hear then nobody reads.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(*letter)

    def tell(self, channel: Channel, message: dict[str, Any] | None) -> None:
        """Tell the pages that watch a channel; None for a new frame. From any thread."""
        if self._links:
            self._mail.put((self._spread, channel, message))

    def channels_changed(self) -> None:
        """A channel was opened or closed. From any thread."""
        self._mail.put((self._spread_channels,))

    def channel_list(self) -> list[dict[str, Any]]:
        """The channels as pages are told of them."""
        return [
            {"id": channel.number, "title": channel.title, "drivable": channel.controllable}
            for channel in self._console.channels
        ]

    # What a page asks for.

    def watch(self, link: Link, number: Any) -> None:
        """Show a channel to a page."""
        channel = self._console.channel(number)
        before = link.channel
        if before is not None and before is not channel:
            self._leave(link, before)
        link.watch(channel)
        for changed in {before, channel} - {None}:
            self._tell_seat(changed)  # type: ignore[arg-type]

    def take(self, link: Link) -> None:
        """Give a page the seat of the channel that it watches."""
        channel = link.channel
        if channel is None or not channel.controllable:
            link.tell({"type": "refused", "text": 'Nobody can drive here: the environment has no device "web".'})
        elif channel.seat.take(link.page, time.monotonic()):
            channel.log_event("seat", "controls taken")
            self._tell_seat(channel)
        else:
            self.refusals += 1
            link.tell({"type": "refused", "text": "Somebody else is driving."})
            self._tell_seat(channel)

    def release(self, link: Link) -> None:
        """Free the seat of a page."""
        if link.channel is not None:
            self._leave(link, link.channel)
            self._tell_seat(link.channel)

    def hear(self, link: Link, news: Input) -> None:
        """Pass the input of a page on, if it has the seat."""
        channel = link.channel
        if channel is not None and channel.seat.hear(link.page, time.monotonic()) and channel.device is not None:
            channel.device.hear(news)

    def pause(self, link: Link, on: bool) -> None:
        """Make a channel wait or go on."""
        if link.channel is not None and self._has_seat(link):
            link.channel.pause(on)

    def ask(self, link: Link, name: Any) -> None:
        """Note what an operator asks of a training run."""
        if link.channel is None or not self._has_seat(link) or not link.channel.ask(name):
            link.tell({"type": "refused", "text": f"{name!r} cannot be asked for here."})

    # Who sits where.

    def _has_seat(self, link: Link) -> bool:
        return link.channel is not None and link.channel.seat.holder(time.monotonic()) == link.page

    def _leave(self, link: Link, channel: Channel) -> None:
        if channel.seat.release(link.page):
            channel.log_event("seat", "controls released")
            channel.pause(False)
            if channel.device is not None:
                channel.device.lose()

    def _tell_seat(self, channel: Channel) -> None:
        now = time.monotonic()
        holder, free_in = channel.seat.holder(now), channel.seat.free_in(now)
        watching = [link for link in self._links.values() if link.channel is channel]
        for link in watching:
            link.tell(
                {
                    "type": "seat",
                    "channel": channel.number,
                    "holder": "nobody" if holder is None else "you" if holder == link.page else "other",
                    "free_in": None if free_in is None else round(free_in, 1),
                    "pages": len(watching),
                }
            )

    async def _watch_seats(self) -> None:
        """Tell the pages when a holder goes silent, and when the seat falls free."""
        told: dict[int, tuple[float | None, str | None]] = {}
        while True:
            await asyncio.sleep(SEAT_CHECK)
            now = time.monotonic()
            for channel in self._console.channels:
                state = channel.seat.free_in(now), channel.seat.holder(now)
                if state != told.get(channel.number, (None, None)):
                    self._tell_seat(channel)
                told[channel.number] = state

    def _spread(self, channel: Channel, message: dict[str, Any] | None) -> None:
        for link in self._links.values():
            if link.channel is channel:
                link.look() if message is None else link.tell(message)

    def _spread_channels(self) -> None:
        channels = self.channel_list()
        for link in list(self._links.values()):
            link.tell({"type": "channels", "channels": channels})
            if link.channel is not None and link.channel.closed:
                link.watch(None)

    # Requests.

    async def _scene(self, request: web.Request) -> web.StreamResponse:
        channel = self._console.channel(int(request.match_info["number"]))
        if channel is None:
            raise web.HTTPNotFound(text="This environment is not shown any more.")
        if request.match_info["part"] == "scene.json":
            return web.json_response(channel.scene.description, dumps=lambda value: json.dumps(value, allow_nan=False))
        body = gzip.compress(channel.scene.meshes, 6)
        return web.Response(body=body, content_type="application/octet-stream", headers={"Content-Encoding": "gzip"})

    async def _link(self, request: web.Request) -> web.StreamResponse:
        page = request.query.get("page", "")
        if not PAGE_ID.fullmatch(page):
            raise web.HTTPBadRequest(text="page has to be 16 to 64 letters, digits, - and _.")
        if len(self._links) >= MAX_PAGES and page not in self._links:
            raise web.HTTPServiceUnavailable(text=f"{MAX_PAGES} pages are open already.")
        connection = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MESSAGE_LIMIT, compress=False)
        await connection.prepare(request)
        earlier = self._links.get(page)
        link = self._links[page] = Link(self, page, connection)
        if earlier is not None:
            await earlier.replace()
        try:
            await link.serve()
        finally:
            if self._links.get(page) is link:
                del self._links[page]
            self._gone(link)
        return connection

    def _gone(self, link: Link) -> None:
        """Whoever loses the connection drives no longer, but keeps the seat for a while to come back to."""
        channel = link.channel
        if channel is None:
            return
        if self._has_seat(link) and link.page not in self._links and channel.device is not None:
            channel.device.lose()
        self._tell_seat(channel)
