"""The console behind a reverse proxy: another host name, a path prefix, and TLS in front."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gym_hil.console import Console, tls
from tests.console.page import Loop

PREFIX = "/user/me/proxy/8850"
HOP_BY_HOP = {"connection", "upgrade", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}


class Proxy:
    """A small reverse proxy that strips a path prefix, as nginx and jupyter-server-proxy do.

    Args:
        loop: to run in.
        certificate: certificate and key for TLS in front; None for none.
        keep_host: whether the console sees the name in the browser, or the address that the proxy uses.
    """

    def __init__(self, loop: Loop, *, certificate: tuple[Path, Path] | None = None, keep_host: bool = True):
        self.console: Console | None = None
        self._loop, self._keep_host = loop, keep_host
        self._scheme = "http" if certificate is None else "https"
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        loop.run(self._start(context))

    @property
    def url(self) -> str:
        return f"{self._scheme}://localhost:{self._port}{PREFIX}"

    def close(self) -> None:
        self._loop.run(self._runner.cleanup())

    async def _start(self, context: ssl.SSLContext | None) -> None:
        app = web.Application()
        app.router.add_route("*", PREFIX + "{path:/.*}", self._forward)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        assert self.console is not None
        target = f"http://127.0.0.1:{self.console.port}{request.match_info['path']}?{request.query_string}"
        dropped = HOP_BY_HOP if self._keep_host else {*HOP_BY_HOP, "host"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                headers = {name: value for name, value in headers.items() if not name.startswith("Sec-WebSocket")}
                try:
                    return await self._forward_socket(request, session, target, headers)
                except aiohttp.WSServerHandshakeError as error:
                    return web.Response(status=error.status)
            async with session.request(request.method, target, headers=headers, allow_redirects=False) as answer:
                kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
                response = web.Response(status=answer.status, body=await answer.read())
                response.headers.update(kept)
                return response

    async def _forward_socket(
        self, request: web.Request, session: aiohttp.ClientSession, target: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        async with session.ws_connect(target, headers=headers) as inner:
            outer = web.WebSocketResponse()
            await outer.prepare(request)

            async def copy(source: Any, sink: Any) -> None:
                async for message in source:
                    await (sink.send_str if message.type is aiohttp.WSMsgType.TEXT else sink.send_bytes)(message.data)
                await sink.close()

            await asyncio.gather(copy(outer, inner), copy(inner, outer))
            return outer


@pytest.fixture(params=["path prefix", "Host rewritten", "TLS in front"])
def proxied(loop: Loop, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Proxy, Console]]:
    secure = request.param == "TLS in front"
    certificate = tls.user_certificate(tmp_path) if secure else None
    proxy = Proxy(loop, certificate=certificate, keep_host=request.param != "Host rewritten")
    proxy.console = Console(port=0, public_url=proxy.url)
    yield proxy, proxy.console
    proxy.console.close()
    proxy.close()


async def visit(url: str, origin: str) -> tuple[list[tuple[int, str]], dict[str, Any], int]:
    """Open a link as a browser does: the redirects, the first message of the WebSocket, the status of a file."""
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), connector=connector) as session:
        async with session.get(url) as page:
            steps = [(answer.status, answer.url.path) for answer in (*page.history, page)]
            base = page.url.with_query(None)
        async with session.get(base.join(type(base)("static/main.js"))) as file:
            status = file.status
        address = base.join(type(base)("connect?page=aaaaaaaaaaaaaaaaaaaaaaaa"))
        async with session.ws_connect(address, headers={"Origin": origin}) as socket:
            return steps, json.loads((await socket.receive()).data), status


def test_page_files_and_websocket_work_through_the_proxy(proxied: tuple[Proxy, Console], loop: Loop) -> None:
    proxy, console = proxied
    origin = proxy.url.removesuffix(PREFIX)
    steps, hello, status = loop.run(visit(f"{proxy.url}/?token={console.token}", origin))
    assert steps == [(303, f"{PREFIX}/"), (200, f"{PREFIX}/")]
    assert (hello["type"], status) == ("hello", 200)
    assert console.announcement().startswith(f"Console: {proxy.url}/?token={console.token}\n")


def test_foreign_page_is_refused_through_the_proxy_too(proxied: tuple[Proxy, Console], loop: Loop) -> None:
    proxy, console = proxied
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        loop.run(visit(f"{proxy.url}/?token={console.token}", "https://evil.example"))
    assert refused.value.status == 403
    assert console.refusals == 1


def test_page_without_a_public_url_says_what_is_missing(loop: Loop, console: Console) -> None:
    async def get() -> tuple[int, str]:
        async with aiohttp.ClientSession() as session:
            address = f"http://127.0.0.1:{console.port}/?token={console.token}"
            async with session.get(address, headers={"Host": "lab.example"}) as answer:
                return answer.status, await answer.text()

    status, text = loop.run(get())
    assert status == 403
    assert "--public-url" in text
