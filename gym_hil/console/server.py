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
from gym_hil.console.link import Link
from gym_hil.console.page_server import PageServer
from gym_hil.console.protocol import MESSAGE_LIMIT, PAGE_ID_LENGTH, Input
from gym_hil.console.stage import Stage

if TYPE_CHECKING:
    from gym_hil.console.console import Console

MAX_PAGES = 32
HEARTBEAT = 2.0  # s between pings; a connection that answers none is closed
SEAT_CHECK = 1.0  # s
LATENCIES_KEPT = 2000
PAGE_ID = re.compile(rf"[A-Za-z0-9_-]{{{PAGE_ID_LENGTH[0]},{PAGE_ID_LENGTH[1]}}}")


class Server(PageServer):
    """Serves the pages. Lives in the console's loop, but for `tell` and `stages_changed`.

    Args:
        console: whose stages are shown.
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
        router.add_get("/stage/{number:[0-9]{1,6}}/{part:scene.json|meshes.bin}", self._scene)

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

    def tell(self, stage: Stage, message: dict[str, Any] | None) -> None:
        """Tell the pages that watch a stage; None for a new frame. From any thread."""
        if self._links:
            self._mail.put((self._spread, stage, message))

    def stages_changed(self) -> None:
        """A stage was opened or closed. From any thread."""
        self._mail.put((self._spread_stages,))

    def stage_list(self) -> list[dict[str, Any]]:
        """The stages as pages are told of them."""
        return [
            {"id": stage.number, "title": stage.title, "drivable": stage.controllable} for stage in self._console.stages
        ]

    # What a page asks for.

    def watch(self, link: Link, number: Any) -> None:
        """Show a stage to a page."""
        stage = self._console.stage(number)
        before = link.stage
        if before is not None and before is not stage:
            self._leave(link, before)
        link.watch(stage)
        for changed in {before, stage} - {None}:
            self._tell_seat(changed)  # type: ignore[arg-type]

    def take(self, link: Link) -> None:
        """Give a page the seat of the stage that it watches."""
        stage = link.stage
        if stage is None or not stage.controllable:
            link.tell({"type": "refused", "text": 'Nobody can drive here: the environment has no device "web".'})
        elif stage.seat.take(link.page, time.monotonic()):
            stage.event("seat", "controls taken")
            self._tell_seat(stage)
        else:
            self.refusals += 1
            link.tell({"type": "refused", "text": "Somebody else is driving."})
            self._tell_seat(stage)

    def release(self, link: Link) -> None:
        """Free the seat of a page."""
        if link.stage is not None:
            self._leave(link, link.stage)
            self._tell_seat(link.stage)

    def hear(self, link: Link, news: Input) -> None:
        """Pass the input of a page on, if it has the seat."""
        stage = link.stage
        if stage is not None and stage.seat.hear(link.page, time.monotonic()) and stage.driver is not None:
            stage.driver.hear(news)

    def pause(self, link: Link, on: bool) -> None:
        """Make a stage wait or go on."""
        if link.stage is not None and self._has_seat(link):
            link.stage.pause(on)

    def ask(self, link: Link, name: Any) -> None:
        """Note what a person asks of a training run."""
        if link.stage is None or not self._has_seat(link) or not link.stage.ask(name):
            link.tell({"type": "refused", "text": f"{name!r} cannot be asked for here."})

    # Who sits where.

    def _has_seat(self, link: Link) -> bool:
        return link.stage is not None and link.stage.seat.holder(time.monotonic()) == link.page

    def _leave(self, link: Link, stage: Stage) -> None:
        if stage.seat.release(link.page):
            stage.event("seat", "controls released")
            stage.pause(False)
            if stage.driver is not None:
                stage.driver.lose()

    def _tell_seat(self, stage: Stage) -> None:
        now = time.monotonic()
        holder, free_in = stage.seat.holder(now), stage.seat.free_in(now)
        watching = [link for link in self._links.values() if link.stage is stage]
        for link in watching:
            link.tell(
                {
                    "type": "seat",
                    "stage": stage.number,
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
            for stage in self._console.stages:
                state = stage.seat.free_in(now), stage.seat.holder(now)
                if state != told.get(stage.number, (None, None)):
                    self._tell_seat(stage)
                told[stage.number] = state

    def _spread(self, stage: Stage, message: dict[str, Any] | None) -> None:
        for link in self._links.values():
            if link.stage is stage:
                link.look() if message is None else link.tell(message)

    def _spread_stages(self) -> None:
        stages = self.stage_list()
        for link in list(self._links.values()):
            link.tell({"type": "stages", "stages": stages})
            if link.stage is not None and link.stage.closed:
                link.watch(None)

    # Requests.

    async def _scene(self, request: web.Request) -> web.StreamResponse:
        stage = self._console.stage(int(request.match_info["number"]))
        if stage is None:
            raise web.HTTPNotFound(text="This environment is not shown any more.")
        if request.match_info["part"] == "scene.json":
            return web.json_response(stage.scene.description, dumps=lambda value: json.dumps(value, allow_nan=False))
        body = gzip.compress(stage.scene.meshes, 6)
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
        stage = link.stage
        if stage is None:
            return
        if self._has_seat(link) and link.page not in self._links and stage.driver is not None:
            stage.driver.lose()
        self._tell_seat(stage)
