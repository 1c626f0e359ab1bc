"""A page and its files for whoever holds the link, and the checks that every request passes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from aiohttp import web

from gym_hil.console.access import Access
from gym_hil.console.protocol import MESSAGE_LIMIT

# Everything a page uses comes from here; images may also be made in the page, from bytes that it got from here.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
STATIC = Path(__file__).parent / "static"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageServer:
    """Serves one page. Lives in the loop of its site.

    Args:
        access: who may come.

    Attributes:
        PAGE: the page's file, of those in `STATIC`.
        OWN_PAGE_ONLY: paths for which a request has to say that it comes from this page: those that change something.
        refusals: how many requests were refused.
    """

    PAGE: ClassVar[str]
    OWN_PAGE_ONLY: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, access: Access):
        self._access = access
        self._runner: web.AppRunner | None = None
        self.refusals = 0

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add what the page asks for, beside its files."""

    async def start(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """Serve at a socket that listens."""
        app = web.Application(middlewares=[self._guard], client_max_size=MESSAGE_LIMIT)
        app.router.add_get("/", self._page)
        self.add_routes(app.router)
        app.router.add_static("/static", STATIC)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=context).start()

    async def stop(self) -> None:
        """Finish the answers under way, close every connection and free the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        why = self._refusal(request)
        if why is not None:
            self.refusals += 1
            return web.Response(status=403, text=why, headers=HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _refusal(self, request: web.Request) -> str | None:
        host = request.headers.get("Host")
        if not self._access.knows_host(host):
            return "This name of the machine is not known to the console; use the printed link."
        origin = request.headers.get("Origin")
        needed = request.path in self.OWN_PAGE_ONLY
        if (origin is not None or needed) and not self._access.is_own_page(origin, host):
            return "This is for the console's own page alone."
        if request.path == "/" and "token" in request.query:
            known = self._access.knows_token(request.query["token"])
        else:
            known = self._access.knows_token(request.cookies.get(self._access.cookie))
        return None if known else "The link's token is missing or not right; open the link that the program printed."

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if "token" in request.query:
            # Out of the address bar and the history: from here on the cookie is enough.
            return web.Response(status=303, headers={"Location": "/", "Set-Cookie": self._access.cookie_header()})
        return web.Response(text=(STATIC / self.PAGE).read_text(encoding="utf-8"), content_type="text/html")
