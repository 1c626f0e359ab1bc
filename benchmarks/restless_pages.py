"""Two pages of the console without a browser, in a process of their own, that never come to rest.

Each sends and receives `gym_hil.console.messages`: the page that holds the control lock sends random input 60 times a
second, pauses now and then, and gives the lock back after some seconds. Sometimes a page drops its connection and comes
back.

python -m benchmarks.restless_pages URL SEED; closing its standard input ends it, and it prints what it did as JSON.
"""

import asyncio
import json
import struct
import sys
import time
from collections import Counter

import aiohttp
import numpy as np

from gym_hil.teleop import Button

RATE = 60.0  # inputs a second
HOLD = (2.0, 8.0)  # s that a page keeps the seat
DROPS, PAUSES, PRESSES, ENDS = 1 / 60, 1 / 30, 2.0, 1 / 15  # a second, each by chance
PAUSE = 0.7  # s
ENDING = (Button.SUCCESS, Button.FAILURE, Button.RERECORD)
PRESSED = [button.name for button in Button if button not in (*ENDING, Button.QUIT)]


class Page:
    """One page.

    Args:
        url: the console's link.
        name: of the page, 16 characters or more.
        seed: of its chance.
        done: what all pages did, counted.
    """

    def __init__(self, url: str, name: str, seed: int, done: Counter[str]):
        self._url, self._base, self._name = url, url.split("/?")[0], name
        self._rng, self._done = np.random.default_rng(seed), done
        self._motion, self._held = np.zeros(6), set[str]()
        self._holds_until = 0.0  # s; 0 while this page does not hold the control lock

    async def run(self) -> None:
        """Go on until cancelled."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            await session.get(self._url)
            while True:
                address = f"{self._base}/connect?page={self._name}"
                async with session.ws_connect(address, headers={"Origin": self._base}) as link:
                    await self._visit(link)
                self._done["drops"] += 1
                await asyncio.sleep(self._rng.uniform(0.0, 1.0))

    async def _visit(self, link: aiohttp.ClientWebSocketResponse) -> None:
        """Stay until chance ends the connection."""
        self._holds_until = 0.0
        driving = asyncio.create_task(self._drive(link))
        try:
            async for message in link:
                if driving.done():
                    break
                if message.type is aiohttp.WSMsgType.BINARY:
                    channel, sequence = struct.unpack_from("<HxxI", message.data, 4)
                    await link.send_json({"type": "ack", "channel": channel, "sequence": sequence})
                    self._done["frames"] += 1
                else:
                    await self._hear(link, json.loads(message.data))
            if link.closed and not driving.done():
                raise RuntimeError(f"the console has closed the connection with {link.close_code}")
        finally:
            driving.cancel()

    async def _hear(self, link: aiohttp.ClientWebSocketResponse, message: dict) -> None:
        kind = message["type"]
        if kind in ("hello", "channels") and message["channels"]:
            await link.send_json({"type": "watch", "channel": message["channels"][0]["id"]})
        elif kind == "lock" and message["holder"] == "you":
            if not self._holds_until:
                self._done["controls taken"] += 1
                self._holds_until = time.monotonic() + self._rng.uniform(*HOLD)
        elif kind == "lock":
            self._holds_until = 0.0
            if message["holder"] == "none":
                await asyncio.sleep(self._rng.uniform(0.0, 0.3))
                if not link.closed:  # by this page's own chance, meanwhile
                    await link.send_json({"type": "take"})

    async def _drive(self, link: aiohttp.ClientWebSocketResponse) -> None:
        while not self._chance(DROPS):
            await asyncio.sleep(1 / RATE)
            if not self._holds_until:
                continue
            if time.monotonic() > self._holds_until:
                await link.send_json({"type": "release"})
                self._holds_until = 0.0
                # Whoever is quicker takes it; so that it is not always the same one, this one waits.
                await asyncio.sleep(self._rng.uniform(0.0, 0.5))
                continue
            if self._chance(PAUSES):
                self._done["pauses"] += 1
                await link.send_json({"type": "pause", "on": True})
                await asyncio.sleep(PAUSE)
                await link.send_json({"type": "pause", "on": False})
            await link.send_json(self._input())
            self._done["inputs"] += 1
        await link.close()

    def _input(self) -> dict:
        changes = []
        if self._chance(PRESSES):
            button = str(self._rng.choice(PRESSED))
            changes.append(["release" if button in self._held else "press", button])
            self._held ^= {button}
        if self._chance(ENDS):
            ending = str(self._rng.choice([button.name for button in ENDING]))
            changes += [["press", ending], ["release", ending]]
        self._motion = np.clip(self._motion + self._rng.normal(0.0, 0.2, 6), -1.0, 1.0)
        target = None
        if self._rng.random() < 0.3:
            target = self._rng.uniform([0.2, -0.3, 0.0], [0.6, 0.3, 0.5]).tolist()
        return {
            "type": "input",
            "time": time.monotonic() * 1000,
            "motion": self._motion.tolist(),
            "held": sorted(self._held),
            "changes": changes,
            "target": target,
        }

    def _chance(self, per_second: float) -> bool:
        return bool(self._rng.random() < per_second / RATE)


async def main(url: str, seed: int) -> None:
    """Run both pages until the standard input ends."""
    done: Counter[str] = Counter()
    pages = [asyncio.create_task(Page(url, f"restless-page-number-{k}", seed + k, done).run()) for k in range(2)]
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    finished, _ = await asyncio.wait([end, *pages], return_when=asyncio.FIRST_COMPLETED)
    for page in pages:
        if page in finished:
            page.result()  # raises what ended it
        page.cancel()
    print(json.dumps(done))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
