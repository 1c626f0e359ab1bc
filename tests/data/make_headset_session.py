"""Writes headset_session.json: what a headset sent while its operator picked the cube of PandaPickCube-v0.

One list: a hand as the page sends it, or "step" where the environment made a step.
python -m tests.data.make_headset_session
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.console import own_console
from benchmarks.headset import Operator

TARGET = Path(__file__).with_name("headset_session.json")


def main() -> None:
    """Pick the cube, and keep every message."""
    session: list[Any] = []
    with own_console():
        operator = Operator("gym_hil/PandaPickCubeMetaQuest-v0", seed=0)
        receive, step = operator.device.receive, operator.env.step
        operator.device.receive = lambda message: (session.append(_rounded(asdict(message.hand))), receive(message))
        operator.env.step = lambda action: (session.append("step"), step(action))[1]
        assert operator.episode()
    TARGET.write_text(json.dumps(session, separators=(",", ":")) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(part) for part in value]
    return round(value, 5) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
