"""Pages of the console without a browser, as a program that speaks the console's protocol.

python -m benchmarks.pages URL SEED PAGES, until its standard input ends; then it prints what the pages did, as JSON.
One page takes control, takes over and drives on without a pause. Several never come to rest: by chance the one in
control pauses, presses, or gives control back, and a connection is dropped and made again.
"""

import asyncio
import contextlib
import json
import struct
import sys
import time
from collections import Counter
from typing import Any

import aiohttp
import numpy as np

from gym_hil.teleop import Button

RATE = 60.0  # inputs a second
HOLD = (2.0, 8.0)  # s that a page stays in control
DROPS, PAUSES, PRESSES, ENDS = 1 / 60, 1 / 30, 2.0, 1 / 15  # a second, each by chance
PAUSE = 0.7  # s
ENDING = (Button.SUCCESS, Button.FAILURE, Button.RERECORD)
PRESSED = [button.name for button in Button if button not in (*ENDING, Button.QUIT)]


class Page:
    """One page.

    Args:
        url: the console's link.
        number: of the page.
        seed: of its chance.
        restless: whether it does anything by chance.
        done: what all pages did, counted.
    """

    def __init__(self, url: str, number: int, seed: int, restless: bool, done: Counter[str]):
        self._url, self._base, self._name = url, url.split("/?")[0], f"page-of-a-benchmark-{number}"
        self._rng, self._restless, self._done = np.random.default_rng([seed, number]), restless, done
        self._motion, self._held = np.full(6, 0.1) * [1, 0, 0, 0, 0, 0], set[str]()
        self._leaves_at: float | None = None  # s; None while this page is not in control
        self._changes: list[list[str]] = []

    async def run(self) -> None:
        """Go on until cancelled."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            await session.get(self._url)
            while True:
                address = f"{self._base}/connect?page={self._name}"
                async with session.ws_connect(address, headers={"Origin": self._base}) as socket:
                    await self._visit(socket)
                self._done["drops"] += 1
                await asyncio.sleep(self._rng.uniform(0.0, 1.0))

    async def _visit(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Stay until chance ends the connection."""
        self._leaves_at = None
        driving = asyncio.create_task(self._drive(socket))
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    channel, sequence = struct.unpack_from("<HxxI", message.data, 4)
                    await socket.send_json({"type": "ack", "channel": channel, "sequence": sequence})
                    self._done["frames"] += 1
                else:
                    await self._receive(socket, json.loads(message.data))
                if driving.done():
                    break
            if not driving.done():
                raise RuntimeError(f"the console has closed the connection with {socket.close_code}")
        finally:
            driving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await driving

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind in ("hello", "channels") and message["channels"]:
            await socket.send_json({"type": "watch", "channel": message["channels"][0]["id"]})
        elif kind == "lock" and message["holder"] == "you":
            if self._leaves_at is None:
                self._done["controls taken"] += 1
                self._changes = [] if self._restless else [["press", "INTERVENE"], ["release", "INTERVENE"]]
                self._leaves_at = time.monotonic() + self._rng.uniform(*HOLD)
        elif kind == "lock":
            self._leaves_at = None
            if message["holder"] == "none":
                await asyncio.sleep(self._rng.uniform(0.0, 0.3) * self._restless)
                if not socket.closed:  # by this page's own chance, meanwhile
                    await socket.send_json({"type": "take"})

    async def _drive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while not self._chance(DROPS):
            await asyncio.sleep(1 / RATE)
            if self._leaves_at is None:
                continue
            if self._restless and time.monotonic() > self._leaves_at:
                await socket.send_json({"type": "release"})
                self._leaves_at = None
                continue
            if self._chance(PAUSES):
                self._done["pauses"] += 1
                await socket.send_json({"type": "pause", "on": True})
                await asyncio.sleep(PAUSE)
                await socket.send_json({"type": "pause", "on": False})
            await socket.send_json(self._input())
            self._done["inputs"] += 1
        await socket.close()

    def _input(self) -> dict[str, Any]:
        changes, self._changes, target = self._changes, [], None
        if self._chance(PRESSES):
            button = str(self._rng.choice(PRESSED))
            changes.append(["release" if button in self._held else "press", button])
            self._held ^= {button}
        if self._chance(ENDS):
            ending = str(self._rng.choice([button.name for button in ENDING]))
            changes += [["press", ending], ["release", ending]]
        if self._restless:
            self._motion = np.clip(self._motion + self._rng.normal(0.0, 0.2, 6), -1.0, 1.0)
            if self._rng.random() < 0.3:
                target = self._rng.uniform([0.2, -0.3, 0.0], [0.6, 0.3, 0.5]).tolist()
        inputs = {"motion": self._motion.tolist(), "held": sorted(self._held), "changes": changes, "target": target}
        return {"type": "input", "time": time.monotonic() * 1000, **inputs}

    def _chance(self, per_second: float) -> bool:
        return self._restless and bool(self._rng.random() < per_second / RATE)


async def main(url: str, seed: int, pages: int) -> None:
    """Run the pages until the standard input ends."""
    done: Counter[str] = Counter()
    running = [asyncio.create_task(Page(url, k, seed, pages > 1, done).run()) for k in range(pages)]
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    finished, _ = await asyncio.wait([end, *running], return_when=asyncio.FIRST_COMPLETED)
    for page in running:
        if page in finished:
            page.result()  # raises what ended it
        page.cancel()
    print(json.dumps(done))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
