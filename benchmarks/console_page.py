"""A page of the console without a browser, as a program that speaks the console's protocol.

python -m benchmarks.console_page URL, until it is killed: takes control, takes over and drives on without a pause.
"""

import asyncio
import json
import struct
import sys
import time

import aiohttp

RATE = 60.0  # inputs a second
MOTION = [0.1, 0, 0, 0, 0, 0]


async def main(url: str) -> None:
    """Watch the first environment, acknowledge its frames and drive it."""
    base = url.split("/?")[0]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await session.get(url)
        address = f"{base}/connect?page=page-of-a-benchmark"
        async with session.ws_connect(address, headers={"Origin": base}) as socket:
            driving = None
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    channel, sequence = struct.unpack_from("<HxxI", message.data, 4)
                    await socket.send_json({"type": "ack", "channel": channel, "sequence": sequence})
                    continue
                content = json.loads(message.data)
                if content["type"] in ("hello", "channels") and content["channels"]:
                    await socket.send_json({"type": "watch", "channel": content["channels"][0]["id"]})
                elif content["type"] == "lock" and content["holder"] == "none":
                    await socket.send_json({"type": "take"})
                elif content["type"] == "lock" and content["holder"] == "you" and driving is None:
                    driving = asyncio.create_task(_drive(socket))
            raise RuntimeError(f"the console has closed the connection with {socket.close_code}")


async def _drive(socket: aiohttp.ClientWebSocketResponse) -> None:
    changes = [["press", "INTERVENE"], ["release", "INTERVENE"]]
    while not socket.closed:
        inputs = {"motion": MOTION, "held": [], "changes": changes, "target": None}
        await socket.send_json({"type": "input", "time": time.monotonic() * 1000, **inputs})
        changes = []
        await asyncio.sleep(1 / RATE)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
